public import PrismCore

/// The engine hears of its connections from libpq.
extension PostgreSQLEngine: ServerConnectionEvents where Port == LibpqPort {
    public func connected(_ connection: ServerConnectionReference, _ facts: ServerFacts, now: UInt64) {
        schemaProblem = facts.schemaProblem
        refusesOwnTables = facts.isSchemaOfOtherVersion
        connected(connection, now: now)
    }

    public func connectFailed(_ connection: ServerConnectionReference, message: String, now: UInt64) {
        connectFailed(connection, message, now: now)
    }

    public func lost(_ connection: ServerConnectionReference, message: String, now: UInt64) {
        lost(connection, message, now: now)
    }

    public func noticed(
        _ connection: ServerConnectionReference, sqlState: String, sourceFunction: String, now: UInt64
    ) {
        noticed(connection, sourceFunction: sourceFunction)
    }
}
