import PrismWire

/// The binary values of our own statements' rows. A row that is not what its statement returns is INTERNAL: somebody has
/// changed Prism's tables.
extension ServerRow {
    func isNull(_ column: Int) -> Bool { column < values.count && values[column].baseAddress == nil }

    /// Borrowed.
    func bytes(_ column: Int) throws(Failure) -> UnsafeRawBufferPointer {
        guard column < values.count, values[column].baseAddress != nil else { throw .malformedRow }
        return values[column]
    }

    func integer(_ column: Int) throws(Failure) -> Int64 {
        let bytes = try bytes(column)
        guard bytes.count == 8 else { throw .malformedRow }
        return Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
    }

    func boolean(_ column: Int) throws(Failure) -> Bool {
        let bytes = try bytes(column)
        guard bytes.count == 1 else { throw .malformedRow }
        return bytes[0] != 0
    }

    /// Milliseconds of Unix time; 0: NULL.
    func expiry(_ column: Int) throws(Failure) -> UInt64 { isNull(column) ? 0 : UInt64(clamping: try integer(column)) }
}

extension Failure {
    static let malformedRow = Failure(
        .internal, at: .execute, outcome: .unknown,
        "a statement of Prism's own returned what it cannot: its tables in schema prism have been changed")
}
