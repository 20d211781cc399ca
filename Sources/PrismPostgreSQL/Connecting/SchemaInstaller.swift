internal import CPostgreSQL
internal import PrismCore
internal import PrismReactor

/// Prism's own tables: which version of them this program works with, and how they are made.
public struct SchemaDefinition: Sendable {
    public var version: Int
    /// Answers one boolean: whether there is anything of it.
    public var existsQuery: String
    /// Answers one row with one number, the version that is there; no row: what is there is somebody else's.
    public var versionQuery: String
    /// Make all of it, in one transaction, and keep other sidecars out until it ends; must not fail where some of it is there.
    public var statements: [String]

    public static let prism = SchemaDefinition(
        version: Int(PostgreSQLSchema.version), existsQuery: PostgreSQLSchema.exists,
        versionQuery: PostgreSQLSchema.readVersion,
        statements: [PostgreSQLSchema.lock] + PostgreSQLSchema.statements)

    public init(version: Int, existsQuery: String, versionQuery: String, statements: [String]) {
        self.version = version
        self.existsQuery = existsQuery
        self.versionQuery = versionQuery
        self.statements = statements
    }
}

/// Looks after Prism's own tables in one database: seen once, they are not looked for again. Any thread; blocks.
public final class SchemaInstaller: Sendable {
    private let definition: SchemaDefinition
    private let mayCreate: Bool
    private let isEnsured = Locked(false)

    public init(_ definition: SchemaDefinition, mayCreate: Bool) {
        self.definition = definition
        self.mayCreate = mayCreate
    }

    /// - Parameter connection: idle, blocking, not in pipeline mode.
    /// - Returns: why the tables cannot be used; nil: they can.
    func ensure(on connection: OpaquePointer) -> String? {
        if isEnsured.withLock({ $0 }) { return nil }
        let problem = problem(on: connection)
        if problem == nil { isEnsured.withLock { $0 = true } }
        return problem
    }

    private enum Found {
        case version(Int)
        case nothing
        case failed(String)
    }

    private func problem(on connection: OpaquePointer) -> String? {
        switch find(connection) {
        case .version(let found): return judge(found)
        case .failed(let message): return message
        case .nothing where !mayCreate:
            return "Prism's tables are not there; run `prism schema apply`, or set create_schema: true"
        case .nothing: return create(on: connection)
        }
    }

    private func judge(_ found: Int) -> String? {
        found == definition.version
            ? nil
            : "Prism's tables have version \(found), and this program works with \(definition.version); run `prism schema apply` of the newer one"
    }

    private func find(_ connection: OpaquePointer) -> Found {
        // Asked first, so that a new database's log begins without an error.
        let exists = PQexec(connection, definition.existsQuery)
        defer { PQclear(exists) }
        guard let answer = value(exists) else { return .failed(message(connection)) }
        guard answer == "t" else { return .nothing }
        let result = PQexec(connection, definition.versionQuery)
        defer { PQclear(result) }
        if let version = value(result).flatMap({ Int($0) }) { return .version(version) }
        guard PQresultStatus(result) == PGRES_TUPLES_OK else { return .failed(message(connection)) }
        return .failed("the schema `prism` of this database is somebody else's; use another database")
    }

    /// The only value of an answer; nil: it is none such.
    private func value(_ result: OpaquePointer?) -> String? {
        guard PQresultStatus(result) == PGRES_TUPLES_OK, PQntuples(result) == 1 else { return nil }
        return PQgetvalue(result, 0, 0).map { String(cString: $0) }
    }

    private func create(on connection: OpaquePointer) -> String? {
        let opening = ["BEGIN", "SET LOCAL lock_timeout = 5000"]
        for statement in opening + definition.statements + ["COMMIT"] {
            let result = PQexec(connection, statement)
            defer { PQclear(result) }
            let status = PQresultStatus(result)
            if status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK { continue }
            let message = message(connection)
            PQclear(PQexec(connection, "ROLLBACK"))
            return
                "Prism's tables could not be made (\(message)); grant CREATE on the database, or have its owner run `prism schema apply`"
        }
        // Another one may have made others of another version meanwhile.
        switch find(connection) {
        case .version(let found): return judge(found)
        case .nothing: return "Prism's tables are not there although they were made"
        case .failed(let message): return message
        }
    }

    private func message(_ connection: OpaquePointer) -> String {
        LibpqConnection.oneLine(PQerrorMessage(connection).map { String(cString: $0) } ?? "")
    }
}
