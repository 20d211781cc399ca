public import PrismWire

/// Judges the text of one client statement before it is prepared: refuses what would change the session for the next client
/// (CONTRACT 3) and tells what the statement may leave behind.
///
/// The first keyword decides, and the server takes one statement at a time in a prepare, so nothing that is refused can
/// hide behind something else in the text. What functions do to a session is not seen here: the reset after each request
/// undoes it. Names of Prism's own schema are not looked for: the rights of the role decide.
public enum SQLGuard {
    /// Reads the text once, in time linear in its length, without a copy.
    public static func judge(_ sql: UnsafeRawBufferPointer) -> SQLVerdict {
        var reader = StatementReader(sql)
        return reader.judge()
    }

    /// As above, of a text at hand.
    public static func judge(_ sql: String) -> SQLVerdict {
        var sql = sql
        return sql.withUTF8 { judge(UnsafeRawBufferPointer($0)) }
    }
}
