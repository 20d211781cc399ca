internal import CSQLite
internal import PrismWire

/// A client's statement on its way.
final class QueryStream {
    private let executor: Executor
    private var rows: RowReader
    private var isOpen = true

    /// - Parameter statement: leased and bound; released at the end.
    init(_ statement: PreparedStatement, on executor: Executor) {
        self.executor = executor
        rows = RowReader(executor, statement)
    }

    deinit { close() }

    func close() {
        guard isOpen else { return }
        isOpen = false
        executor.connection.release(rows.statement)
    }

    /// What a statement that writes returns is never cut: it is answered only when the change is durable.
    func next(mayBeCut: Bool, into output: inout ByteQueue) throws(Failure) -> Bool {
        let mayBeCut = mayBeCut && rows.statement.isReadOnly
        do throws(Failure) {
            executor.arena.reset()
            let (result, isLast) = try rows.read(
                bytesMax: mayBeCut ? executor.settings.streamPartBytes : executor.settings.resultBytesMax,
                mayBeCut: mayBeCut)
            executor.response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_QUERY
            executor.response.pointee.query = result
            try executor.pack(into: &output)
            if isLast { close() }
            return isLast
        } catch {
            close()
            throw error
        }
    }
}
