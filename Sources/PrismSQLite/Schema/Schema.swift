internal import CSQLite
public import PrismWire

/// Prism's own tables in an SQLite file.
public enum Schema {
    public static let version = 1

    private static let statements = """
        CREATE TABLE IF NOT EXISTS prism_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS prism_entry (
            namespace TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL,
            expires_at INTEGER, PRIMARY KEY (namespace, key)) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS prism_entry_expiry ON prism_entry (expires_at) WHERE expires_at IS NOT NULL;
        CREATE TABLE IF NOT EXISTS prism_idempotency (
            uid INTEGER NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, answer BLOB, created_at INTEGER NOT NULL,
            PRIMARY KEY (uid, key)) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS prism_idempotency_age ON prism_idempotency (created_at);
        INSERT INTO prism_meta (name, value) VALUES ('schema_version', \(version)), ('next_version', 1)
            ON CONFLICT DO NOTHING;
        """

    /// What `prism schema print` shows.
    public static func print() -> String { statements + "\n" }

    /// Creates what is missing in the file; safe when several start at once.
    /// - Throws: what SQLite says; FAILED_PRECONDITION when a newer Prism has written the file.
    public static func apply(settings: SQLiteSettings) throws(Failure) {
        let connection = try Connection(role: .writer, settings: settings)
        defer { connection.close() }
        try apply(on: connection)
    }

    /// What CREATE TABLE and ALTER TABLE have left: the authorizer is told neither the new name of a RENAME nor what a foreign
    /// key refers to. One that refers to a table of ours keeps us from changing it: a mismatch fails every write, without a
    /// single row in the client's table.
    /// - Throws: PERMISSION_DENIED; whoever runs it undoes it.
    static func checkOwnTables(on connection: Connection) throws(Failure) {
        let strangers = try connection.integer(
            """
            SELECT count(*) FROM sqlite_master WHERE lower(substr(name, 1, 6)) = '\(Authorizer.ownPrefix)' AND name NOT IN
            ('prism_meta', 'prism_entry', 'prism_entry_expiry', 'prism_idempotency', 'prism_idempotency_age')
            """)
        let references = try connection.integer(
            """
            SELECT count(*) FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f
            WHERE m.type = 'table' AND lower(substr(f."table", 1, 6)) = '\(Authorizer.ownPrefix)'
            """)
        guard strangers == 0, references == 0 else { throw Authorizer.Refusal.ownTable.failure }
    }

    static func apply(on connection: Connection) throws(Failure) {
        try connection.begin(immediate: true)
        do throws(Failure) {
            try connection.run(sql: statements)
            let found = try connection.integer("SELECT value FROM prism_meta WHERE name = 'schema_version'") ?? 0
            guard found <= version else {
                throw Failure(
                    .failedPrecondition, at: .connect,
                    "the file has Prism's schema \(found), this version knows \(version): use a newer prism")
            }
            try connection.commit()
        } catch {
            try connection.rollback()
            throw error
        }
    }
}
