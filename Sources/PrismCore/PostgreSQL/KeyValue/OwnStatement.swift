/// Prism's own statements on PostgreSQL. Each is a whole operation in one round trip, right under concurrency at READ
/// COMMITTED; parameters and results travel in binary.
///
/// - Time is the server's: an entry is live while `expires_at`, in milliseconds of Unix time, is above the statement's time.
/// - A version comes from the sequence *after* the row is locked (in SET, which runs again when the row had changed
///   meanwhile), so that the versions of an entry only grow. A value taken before the lock went backwards in hot puts.
/// - An UPDATE or DELETE that waited for a row follows it only while it stays the same row: behind a transaction that deletes
///   an entry and puts it again it would find nothing. So a delete that may be followed by a put in its own transaction
///   leaves the row as a tombstone, expired since 1970, for the sweeper.
public enum PostgreSQLStatement: Int, CaseIterable, Sendable {
    /// namespace, key → version, expires_at, value
    case get
    /// namespace, keys → place in `keys` from 1, version, expires_at, value; a row for each key found, a repeated one too
    case getMany
    /// namespace, key → version of a live entry, or NULL; always one row. Behind a condition that does not hold it says why.
    case currentVersion

    /// namespace, key, value, ttl → version
    case putAlways
    /// namespace, key, value, ttl → version, or no row: the condition does not hold
    case putIfAbsent, putIfPresent
    /// namespace, key, value, ttl, version → version, or no row: the condition does not hold
    case putIfVersion
    /// namespace, key → version of what was deleted, or no row: it was not there
    case delete
    /// namespace, key, version → version of what was deleted, or no row: the condition does not hold
    case deleteIfVersion
    /// As `delete` and `deleteIfVersion`, inside a transaction that may yet put the key again.
    case tombstone, tombstoneIfVersion
    /// namespace, key, delta, ttl on creation → version, value (NULL: above 20 bytes), whether it was incremented
    ///
    /// When it was not, nothing has changed: the value is no number, or the sum does not fit into 64 bits.
    case increment
    /// namespace, key, ttl → version, or no row: it was not there
    case touch

    /// namespace, lower, limit (0: none) → key, version, expires_at, value
    case scanUp, scanDown
    /// namespace, lower, limit (0: none), upper → key, version, expires_at, value
    case scanUpBelow, scanDownBelow
    /// As the scans, without the value.
    case keysUp, keysUpBelow, keysDown, keysDownBelow
    /// namespace, lower → count
    case count
    /// namespace, lower, upper → count
    case countBelow

    /// uid, key, fingerprint, retention in milliseconds → true, or no row: it is recorded already
    ///
    /// Waits while another transaction holds the key. The row stays locked either way until the transaction ends.
    case claimKey
    /// uid, key → fingerprint, answer (NULL: it was above the size that is kept)
    case findKey
    /// uid, key, answer → no row
    case storeAnswer

    /// most rows to delete → no row; the command tag counts
    case sweepEntries
    /// retention in milliseconds, most rows to delete → no row; the command tag counts
    case sweepKeys
}

extension PostgreSQLStatement {
    /// The declared types of `$1`, `$2` …
    public var types: [TypeOID] {
        switch self {
        case .get, .currentVersion, .delete, .tombstone, .count: [.text, .bytea]
        case .getMany: [.text, .byteaArray]
        case .putAlways, .putIfAbsent, .putIfPresent: [.text, .bytea, .bytea, .int8]
        case .putIfVersion: [.text, .bytea, .bytea, .int8, .int8]
        case .deleteIfVersion, .tombstoneIfVersion, .touch: [.text, .bytea, .int8]
        case .increment: [.text, .bytea, .int8, .int8]
        case .scanUp, .scanDown, .keysUp, .keysDown: [.text, .bytea, .int8]
        case .scanUpBelow, .scanDownBelow, .keysUpBelow, .keysDownBelow: [.text, .bytea, .int8, .bytea]
        case .countBelow: [.text, .bytea, .bytea]
        case .claimKey: [.int8, .text, .bytea, .int8]
        case .findKey: [.int8, .text]
        case .storeAnswer: [.int8, .text, .bytea]
        case .sweepEntries: [.int8]
        case .sweepKeys: [.int8, .int8]
        }
    }

    /// All that return at most one row are told at once.
    var rows: RowDelivery {
        switch self {
        case .getMany, .scanUp, .scanDown, .scanUpBelow, .scanDownBelow, .keysUp, .keysUpBelow, .keysDown,
            .keysDownBelow:
            .oneByOne
        default: .single
        }
    }

    public var sql: String {
        switch self {
        case .get: "SELECT version, expires_at, value FROM prism.entry WHERE \(Self.here) AND \(Self.live)"
        case .getMany:
            """
            SELECT asked.place, e.version, e.expires_at, e.value
            FROM unnest($2) WITH ORDINALITY AS asked (key, place)
            JOIN prism.entry AS e ON e.namespace = $1 AND e.key = asked.key
            WHERE e.expires_at IS NULL OR e.expires_at > \(Self.now)
            """
        case .currentVersion: "SELECT (SELECT version FROM prism.entry WHERE \(Self.here) AND \(Self.live))"
        case .putAlways: "\(Self.upsert) RETURNING version"
        case .putIfAbsent: "\(Self.upsert) WHERE e.expires_at <= \(Self.now) RETURNING version"
        case .putIfPresent: "\(Self.update) RETURNING version"
        case .putIfVersion: "\(Self.update) AND version = $5 RETURNING version"
        case .delete: "DELETE FROM prism.entry WHERE \(Self.here) AND \(Self.live) RETURNING version"
        case .deleteIfVersion:
            "DELETE FROM prism.entry WHERE \(Self.here) AND \(Self.live) AND version = $3 RETURNING version"
        case .tombstone: "\(Self.bury) RETURNING version"
        case .tombstoneIfVersion: "\(Self.bury) AND version = $3 RETURNING version"
        case .increment: Self.incrementing
        case .touch:
            """
            UPDATE prism.entry SET expires_at = \(Self.now) + nullif($3, 0)
            WHERE \(Self.here) AND \(Self.live) RETURNING version
            """
        case .scanUp: Self.scan(isBelow: false, isDown: false, hasValues: true)
        case .scanUpBelow: Self.scan(isBelow: true, isDown: false, hasValues: true)
        case .scanDown: Self.scan(isBelow: false, isDown: true, hasValues: true)
        case .scanDownBelow: Self.scan(isBelow: true, isDown: true, hasValues: true)
        case .keysUp: Self.scan(isBelow: false, isDown: false, hasValues: false)
        case .keysUpBelow: Self.scan(isBelow: true, isDown: false, hasValues: false)
        case .keysDown: Self.scan(isBelow: false, isDown: true, hasValues: false)
        case .keysDownBelow: Self.scan(isBelow: true, isDown: true, hasValues: false)
        case .count: "SELECT count(*) FROM prism.entry WHERE namespace = $1 AND key >= $2 AND \(Self.liveOfMany)"
        case .countBelow:
            """
            SELECT count(*) FROM prism.entry
            WHERE namespace = $1 AND key >= $2 AND key < $3 AND \(Self.liveOfMany)
            """
        case .claimKey:
            """
            INSERT INTO prism.idempotency AS i (uid, key, fingerprint, created_at) VALUES ($1, $2, $3, \(Self.now))
            ON CONFLICT (uid, key) DO UPDATE
            SET fingerprint = excluded.fingerprint, answer = NULL, created_at = excluded.created_at
            WHERE i.created_at <= \(Self.now) - $4 RETURNING true
            """
        case .findKey: "SELECT fingerprint, answer FROM prism.idempotency WHERE uid = $1 AND key = $2"
        case .storeAnswer: "UPDATE prism.idempotency SET answer = $3 WHERE uid = $1 AND key = $2"
        case .sweepEntries:
            """
            DELETE FROM prism.entry WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM prism.entry WHERE expires_at <= \(Self.now)
                ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
            """
        case .sweepKeys:
            """
            DELETE FROM prism.idempotency WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM prism.idempotency WHERE created_at <= \(Self.now) - $1
                ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))
            """
        }
    }

    /// Milliseconds of Unix time. Not now(): inside a transaction that stands still.
    private static let now = "(date_part('epoch', statement_timestamp()) * 1000)::int8"
    private static let here = "namespace = $1 AND key = $2"
    private static let live = "(expires_at IS NULL OR expires_at > \(now))"
    /// The time as a subquery, so that it is worked out once and not for each row.
    private static let liveOfMany = "(expires_at IS NULL OR expires_at > (SELECT \(now)))"

    private static let upsert = """
        INSERT INTO prism.entry AS e (namespace, key, value, version, expires_at)
        VALUES ($1, $2, $3, nextval('prism.version'), \(now) + nullif($4, 0))
        ON CONFLICT (namespace, key) DO UPDATE
        SET value = excluded.value, version = nextval('prism.version'), expires_at = excluded.expires_at
        """

    private static let update = """
        UPDATE prism.entry SET value = $3, version = nextval('prism.version'), expires_at = \(now) + nullif($4, 0)
        WHERE \(here) AND \(live)
        """

    private static let bury = "UPDATE prism.entry SET expires_at = 0, value = '' WHERE \(here) AND \(live)"

    /// A number is what Swift's `Int64(String)` takes of at most 20 bytes. `encode` writes any byte that is not ASCII as an
    /// escape, so nothing in a value can make a cast fail; OFFSET 0 keeps what it stands behind from being worked out again
    /// for each use. Only when the row was incremented does it have the number that the session drew last.
    private static let incrementing = """
        INSERT INTO prism.entry AS e (namespace, key, value, version, expires_at)
        VALUES ($1, $2, decode($3::text, 'escape'), nextval('prism.version'), \(now) + nullif($4, 0))
        ON CONFLICT (namespace, key) DO UPDATE SET (value, version, expires_at) = (
            SELECT CASE WHEN sum \(fits) THEN decode(sum::text, 'escape') ELSE e.value END,
                CASE WHEN sum \(fits) THEN nextval('prism.version') ELSE e.version END,
                CASE WHEN is_live THEN e.expires_at ELSE excluded.expires_at END
            FROM (SELECT is_live, $3 + CASE WHEN NOT is_live THEN 0::numeric
                    WHEN digits ~ '^[+-]?[0-9]+$' THEN CASE WHEN digits::numeric \(fits) THEN digits::numeric END
                    END AS sum
                FROM (SELECT e.expires_at IS NULL OR e.expires_at > \(now) AS is_live,
                    CASE WHEN octet_length(e.value) <= 20 THEN encode(e.value, 'escape') END COLLATE "C" AS digits
                    OFFSET 0) AS found
                OFFSET 0) AS sums)
        RETURNING version, CASE WHEN octet_length(value) <= 20 THEN value END, version = currval('prism.version')
        """
    private static let fits = "BETWEEN -9223372036854775808 AND 9223372036854775807"

    private static func scan(isBelow: Bool, isDown: Bool, hasValues: Bool) -> String {
        """
        SELECT key, version, expires_at\(hasValues ? ", value" : "") FROM prism.entry
        WHERE namespace = $1 AND key >= $2\(isBelow ? " AND key < $4" : "") AND \(liveOfMany)
        ORDER BY key\(isDown ? " DESC" : "") LIMIT nullif($3, 0)
        """
    }
}

/// The types of our own parameters, by their fixed numbers in `pg_type`.
extension TypeOID {
    fileprivate static let bytea: TypeOID = 17
    fileprivate static let int8: TypeOID = 20
    fileprivate static let text: TypeOID = 25
    fileprivate static let byteaArray: TypeOID = 1001
}
