internal import PrismWire

/// Why client SQL is refused on PostgreSQL; the words are those of the SQLite backend where the matter is the same.
enum SQLRefusal: UInt8, CaseIterable {
    case empty, zeroByte, several
    case transactionControl, savepoint, twoPhaseCommit, transactionMode
    case setting, prepared, listen, copy, discard, cursor, load, temporary
    case outsideTransaction, writesUnderReadOnly

    var failure: Failure {
        switch self {
        case .empty: invalid("the SQL text holds no statement")
        case .zeroByte: invalid("the SQL text holds a zero byte: send such data as a parameter of type bytes")
        case .several: invalid("one statement only: something follows the first one; use Batch for several")
        case .transactionControl:
            invalid("transaction control in SQL is refused: use the operations Begin, Commit and Rollback")
        case .savepoint:
            invalid("savepoints in SQL are refused: use the operations Savepoint and RollbackTo")
        case .twoPhaseCommit:
            invalid(
                "two-phase commit is refused: a prepared transaction would outlive its client; use the operations Begin and "
                    + "Commit")
        case .transactionMode:
            invalid("SET TRANSACTION is refused: name isolation and read-only in the operation Begin")
        case .setting:
            invalid(
                "SET and RESET are refused: the next request may run on another connection; configure the role (ALTER ROLE … "
                    + "SET) or the backend's conninfo (options=-c …); what set_config changes is undone after the request"
            )
        case .prepared:
            invalid(
                "PREPARE, EXECUTE and DEALLOCATE are refused: send the statement itself with parameters; Prism prepares it "
                    + "and keeps it prepared")
        case .listen:
            invalid("LISTEN and UNLISTEN are refused: the next request may run on another connection; use Watch")
        case .copy:
            invalid(
                "COPY is refused: to load, use INSERT in a Batch with parameter sets; to read, use Query, which streams its "
                    + "rows")
        case .discard:
            invalid("DISCARD is refused: the session is not the client's; it is reset after each request")
        case .cursor:
            invalid("cursors in SQL are refused: use Query, which streams its rows as fast as they are read")
        case .load:
            Failure(
                .permissionDenied, at: .execute,
                "LOAD is refused: libraries are loaded by the server's configuration (session_preload_libraries)")
        case .temporary:
            invalid(
                "temporary objects are refused: the next request may run on another connection; use an ordinary table or WITH"
            )
        case .outsideTransaction:
            invalid(
                "LOCK and SET CONSTRAINTS have an effect in a transaction only: use them between the operations Begin and "
                    + "Commit")
        case .writesUnderReadOnly:
            invalid("the request is read-only, and the statement writes; send it without read_only")
        }
    }

    private func invalid(_ message: String) -> Failure { Failure(.invalidArgument, at: .execute, message) }
}
