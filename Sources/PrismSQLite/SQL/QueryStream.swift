internal import CSQLite
internal import PrismWire

/// A client's statement on its way.
final class QueryStream {
    private let executor: Executor
    /// Nil: closed. Given up before the connection is: whoever drops the stream last may be another thread, and the last
    /// reference to a statement finalises it.
    private var rows: RowReader?

    /// - Parameter statement: leased and bound; released at the end.
    init(_ statement: PreparedStatement, on executor: Executor) {
        self.executor = executor
        rows = RowReader(executor, statement)
    }

    deinit { close() }

    func close() {
        guard let statement = rows?.statement else { return }
        rows = nil
        executor.connection.release(statement)
    }

    /// What a statement that writes returns is never cut: it is answered only when the change is durable.
    func next(mayBeCut: Bool, into output: inout ByteQueue) throws(Failure) -> Bool {
        do throws(Failure) {
            let isLast = try read(mayBeCut, into: &output)
            if isLast { close() }
            return isLast
        } catch {
            close()
            throw error
        }
    }

    private func read(_ mayBeCut: Bool, into output: inout ByteQueue) throws(Failure) -> Bool {
        guard let isReadOnly = rows?.statement.isReadOnly else { return try closed() }
        let mayBeCut = mayBeCut && isReadOnly
        let settings = executor.settings
        let bytesMax = mayBeCut ? settings.streamPartBytes : settings.resultBytesMax
        let isLast = try rows?.read(as: .response, bytesMax: bytesMax, mayBeCut: mayBeCut, into: &output)
        guard let isLast else { return try closed() }
        return isLast
    }

    private func closed() throws(Failure) -> Bool {
        throw Failure(.internal, at: .stream, "a stream was read after its end")
    }
}
