internal import PrismWire

/// An answer that comes in parts: a statement that has been started and not come to its end. Holds its connection until it
/// is `closed`, or has given its last part, or has thrown.
enum ReadStream {
    case scan(ScanStream)
    case query(QueryStream)

    /// Appends the body of the next part.
    /// - Parameter mayBeCut: false: everything that is left, bounded by `resultBytesMax`.
    /// - Returns: whether it was the last one.
    func next(mayBeCut: Bool, into output: inout ByteQueue) throws(Failure) -> Bool {
        switch self {
        case .scan(let scan): try scan.next(mayBeCut: mayBeCut, into: &output)
        case .query(let query): try query.next(mayBeCut: mayBeCut, into: &output)
        }
    }

    /// Ends it early. Idempotent.
    func close() {
        switch self {
        case .scan(let scan): scan.close()
        case .query(let query): query.close()
        }
    }
}
