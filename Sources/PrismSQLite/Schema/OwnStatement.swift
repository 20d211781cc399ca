/// Prism's own statements, compiled once on each connection.
enum OwnStatement: Int, CaseIterable {
    case beginDeferred, beginImmediate, commit, rollback, savepoint, release, rollbackTo
    case get, put, delete, setExpiry
    case scanUp, scanUpBelow, scanDown, scanDownBelow, count, countBelow
    case readVersion, reserveVersions
    case findKey, recordKey, sweepEntries, sweepKeys

    private static let live = "(expires_at IS NULL OR expires_at > ?3)"

    var sql: String {
        switch self {
        case .beginDeferred: "BEGIN"
        case .beginImmediate: "BEGIN IMMEDIATE"
        case .commit: "COMMIT"
        case .rollback: "ROLLBACK"
        case .savepoint: "SAVEPOINT prism_member"
        case .release: "RELEASE prism_member"
        case .rollbackTo: "ROLLBACK TO prism_member"
        case .get:
            "SELECT value, version, expires_at FROM prism_entry WHERE namespace = ?1 AND key = ?2 AND \(Self.live)"
        case .put:
            """
            INSERT INTO prism_entry (namespace, key, value, version, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (namespace, key) DO UPDATE
            SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
            """
        case .delete: "DELETE FROM prism_entry WHERE namespace = ?1 AND key = ?2"
        case .setExpiry: "UPDATE prism_entry SET expires_at = ?3 WHERE namespace = ?1 AND key = ?2"
        case .scanUp, .scanUpBelow, .scanDown, .scanDownBelow:
            """
            SELECT key, value, version, expires_at FROM prism_entry WHERE namespace = ?1 AND key >= ?2
            \(self == .scanUpBelow || self == .scanDownBelow ? "AND key < ?4" : "") AND \(Self.live)
            ORDER BY key \(self == .scanDown || self == .scanDownBelow ? "DESC" : "ASC")
            """
        case .count, .countBelow:
            """
            SELECT count(*) FROM prism_entry WHERE namespace = ?1 AND key >= ?2
            \(self == .countBelow ? "AND key < ?4" : "") AND \(Self.live)
            """
        case .readVersion: "SELECT value FROM prism_meta WHERE name = 'next_version'"
        // Past the largest integer the sum would be a REAL, and the same block would be given again and again.
        case .reserveVersions:
            """
            UPDATE prism_meta SET value = value + ?1
            WHERE name = 'next_version' AND value BETWEEN 0 AND 9223372036854775807 - ?1 RETURNING value
            """
        case .findKey:
            "SELECT fingerprint, answer FROM prism_idempotency WHERE uid = ?1 AND key = ?2 AND created_at > ?3"
        case .recordKey:
            """
            INSERT INTO prism_idempotency (uid, key, fingerprint, answer, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (uid, key) DO UPDATE
            SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
            """
        case .sweepEntries:
            """
            DELETE FROM prism_entry WHERE (namespace, key) IN
            (SELECT namespace, key FROM prism_entry WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
            """
        case .sweepKeys:
            """
            DELETE FROM prism_idempotency WHERE (uid, key) IN
            (SELECT uid, key FROM prism_idempotency WHERE created_at <= ?1 ORDER BY created_at LIMIT ?2)
            """
        }
    }
}
