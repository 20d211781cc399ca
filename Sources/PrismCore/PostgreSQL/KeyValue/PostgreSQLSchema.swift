/// Prism's own tables in a PostgreSQL database, in a schema of their own.
public enum PostgreSQLSchema {
    public static let version: Int64 = 1

    /// Taken by everyone who creates the tables, until the transaction ends: many may start at once. "prism" in ASCII.
    public static let lock = "SELECT pg_advisory_xact_lock(482955850605)"

    /// Whether there is a schema of ours; says nothing of its version. One row, one boolean.
    public static let exists = """
        SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'prism' AND c.relname = 'meta')
        """

    /// One row, one int8; none: the tables are not ours.
    public static let readVersion = "SELECT value FROM prism.meta WHERE name = 'schema_version'"

    /// What creates everything that is missing: to run in one transaction, behind `lock`.
    ///
    /// No fillfactor: with the default, 99% of 150,000 puts on 50,000 entries of 100 bytes were heap-only updates (100% with
    /// 90, 80 and 70), and the table grew by 4%.
    public static let statements = [
        // IF NOT EXISTS wants CREATE on the database even where the schema is there.
        """
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'prism') THEN CREATE SCHEMA prism; END IF;
        END $$
        """,
        "CREATE TABLE IF NOT EXISTS prism.meta (name text PRIMARY KEY, value bigint NOT NULL)",
        // Compared byte by byte, like the key: that is the order SQLite has, and no upgrade of a collation changes it.
        """
        CREATE TABLE IF NOT EXISTS prism.entry (
            namespace text COLLATE "C" NOT NULL, key bytea NOT NULL, value bytea NOT NULL, version bigint NOT NULL,
            expires_at bigint, PRIMARY KEY (namespace, key)) WITH (vacuum_truncate = off)
        """,
        createIndex("entry_expiry", "prism.entry (expires_at) WHERE expires_at IS NOT NULL"),
        """
        CREATE TABLE IF NOT EXISTS prism.idempotency (
            uid bigint NOT NULL, key text COLLATE "C" NOT NULL, fingerprint bytea NOT NULL, answer bytea,
            created_at bigint NOT NULL, PRIMARY KEY (uid, key)) WITH (vacuum_truncate = off)
        """,
        createIndex("idempotency_age", "prism.idempotency (created_at)"),
        // A cache above 1 would hand each session a block of numbers: an entry's versions would go back.
        "CREATE SEQUENCE IF NOT EXISTS prism.version AS bigint CACHE 1",
        // Room that is never given back, made by rows that the sweeper removes. On a table of a page or two the server plans a
        // sequential scan, keeps that plan while the table grows, and reads all of it for each key until the next ANALYZE.
        """
        INSERT INTO prism.entry (namespace, key, value, version, expires_at)
        SELECT '', i::text::bytea, repeat('x', 1900)::bytea, 0, 0 FROM generate_series(1, 256) AS i
        WHERE (SELECT pg_relation_size('prism.entry')) = 0
        """,
        """
        INSERT INTO prism.idempotency (uid, key, fingerprint, created_at)
        SELECT -1, i, repeat('x', 1900)::bytea, 0 FROM generate_series(1, 256) AS i
        WHERE (SELECT pg_relation_size('prism.idempotency')) = 0
        """,
        "INSERT INTO prism.meta (name, value) VALUES ('schema_version', \(version)) ON CONFLICT DO NOTHING",
    ]

    /// IF NOT EXISTS locks the table against writers even where the index is there: a second sidecar at its start would wait for
    /// the writes of the first, or end in a deadlock with one of them.
    private static func createIndex(_ name: String, _ on: String) -> String {
        """
        DO $$ BEGIN
            IF to_regclass('prism.\(name)') IS NULL THEN CREATE INDEX \(name) ON \(on); END IF;
        END $$
        """
    }

    /// What `prism schema print` shows: a script that can be run again and again.
    public static func print() -> String {
        (["BEGIN", lock] + statements + ["COMMIT"]).map { $0 + ";\n" }.joined()
    }
}
