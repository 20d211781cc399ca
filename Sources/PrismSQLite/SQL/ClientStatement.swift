internal import CSQLite
internal import PrismCore
internal import PrismWire

/// Compiling what a client sent.
enum ClientStatement {
    /// - Throws: INVALID_ARGUMENT with the position where SQLite knows it; the authorizer's refusals.
    static func prepare(_ text: UnsafeRawBufferPointer, on connection: Connection) throws(Failure) -> PreparedStatement
    {
        let sql = SQLText(text)
        connection.authorizer.pointee.mode = .client
        connection.authorizer.pointee.refusal = nil
        connection.authorizer.pointee.firstWrite = 0
        connection.authorizer.pointee.shapesTable = false
        let base = text.baseAddress?.assumingMemoryBound(to: CChar.self)
        var prepared: OpaquePointer?
        var tail: UnsafePointer<CChar>?
        let result = connection.bounded {
            sqlite3_prepare_v3(
                connection.handle, base, Int32(clamping: text.count), UInt32(SQLITE_PREPARE_PERSISTENT), &prepared,
                &tail)
        }
        guard result == SQLITE_OK else {
            sqlite3_finalize(prepared)
            throw failure(result, sql, on: connection)
        }
        guard let prepared else { throw invalid("the SQL text holds no statement") }
        let statement = PreparedStatement(
            handle: prepared, mode: .client, firstWrite: connection.authorizer.pointee.firstWrite,
            shapesTable: connection.authorizer.pointee.shapesTable,
            tag: CommandTag(keyword: sql.firstKeyword, firstWrite: connection.authorizer.pointee.firstWrite),
            parameters: ParameterMap(of: prepared))
        if let base, let tail, !sql.isNothing(from: tail - base) {
            throw invalid("one statement only: something follows the first one; use Batch for several")
        }
        // Refused by the authorizer at its first step too (it attaches), but then with a less helpful word.
        if statement.tag == .vacuum { throw Authorizer.Refusal.vacuum.failure }
        if case .mixed = statement.parameters {
            throw invalid("the statement mixes kinds of parameters; use only $1 $2 …, only ?, or only names")
        }
        return statement
    }

    /// The failure of a client's statement that was being compiled or stepped.
    static func failure(_ result: Int32, _ sql: SQLText? = nil, on connection: Connection) -> Failure {
        if let refusal = connection.authorizer.pointee.refusal { return refusal.failure }
        if result & 0xFF == SQLITE_NOMEM {
            connection.releaseMemory()
            return Failure(
                .resourceExhausted, at: .execute,
                "the statement needs more memory than statement_memory (\(connection.settings.statementMemoryBytes)), or is nested too deeply; sort, group or nest less at once",
                sqliteCode: result)
        }
        var failure = connection.failure(result, doing: "")
        if let sql, result & 0xFF == SQLITE_ERROR {
            let offset = sqlite3_error_offset(connection.handle)
            if offset >= 0 { failure.position = sql.position(ofByte: Int(offset)) }
        }
        return failure
    }

    static func invalid(_ message: String) -> Failure { Failure(.invalidArgument, at: .execute, message) }
}
