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

    /// - Parameter query: on a connection that is idle and not in pipeline mode.
    /// - Returns: why the tables cannot be used; nil: they can.
    func ensure(_ query: BlockingQuery) throws(BlockingQuery.Lost) -> Problem? {
        if isEnsured.withLock({ $0 }) { return nil }
        let problem = try problem(query)
        if problem == nil { isEnsured.withLock { $0 = true } }
        return problem
    }

    /// Why the tables cannot be used.
    struct Problem {
        var message: String
        /// They are there, but of another Prism: to be left alone.
        var isOtherVersion = false
    }

    private enum Found {
        case version(Int)
        case nothing
        case failed(String)
    }

    private func problem(_ query: BlockingQuery) throws(BlockingQuery.Lost) -> Problem? {
        switch try find(query) {
        case .version(let found): return judge(found)
        case .failed(let message): return Problem(message: message)
        case .nothing where !mayCreate:
            return Problem(
                message: "Prism's tables are not there; run `prism schema apply`, or set create_schema: true")
        case .nothing: return try create(query)
        }
    }

    private func judge(_ found: Int) -> Problem? {
        guard found != definition.version else { return nil }
        return Problem(
            message:
                "Prism's tables have version \(found), and this program works with \(definition.version): use the prism that made them, or a newer one",
            isOtherVersion: true)
    }

    private func find(_ query: BlockingQuery) throws(BlockingQuery.Lost) -> Found {
        // Asked first, so that a new database's log begins without an error.
        guard let exists = try query.run(definition.existsQuery).value else { return .failed(query.message) }
        guard exists == "t" else { return .nothing }
        let answer = try query.run(definition.versionQuery)
        if let version = answer.value.flatMap({ Int($0) }) { return .version(version) }
        guard answer.isSuccess else { return .failed(query.message) }
        return .failed("the schema `prism` of this database is somebody else's; use another database")
    }

    /// Creates what is missing; safe when many do so at once.
    /// - Returns: why the tables cannot be used; nil: they can.
    func create(_ query: BlockingQuery) throws(BlockingQuery.Lost) -> Problem? {
        if let problem = try createInTransaction(query) {
            _ = try query.run("ROLLBACK")
            return problem
        }
        guard try query.run("COMMIT").isSuccess else { return Self.notMade(query.message) }
        return nil
    }

    private func createInTransaction(_ query: BlockingQuery) throws(BlockingQuery.Lost) -> Problem? {
        // A statement_timeout of the role is for its requests; here another sidecar may have to be waited for.
        let timeouts = ["SET LOCAL lock_timeout = 5000", "SET LOCAL statement_timeout = 0"]
        for statement in ["BEGIN"] + timeouts + definition.statements {
            guard try query.run(statement).isSuccess else { return Self.notMade(query.message) }
        }
        // Tables of a newer Prism stay as they are.
        switch try find(query) {
        case .version(let found): return judge(found)
        case .nothing: return Problem(message: "Prism's tables are not there although they were made")
        case .failed(let message): return Problem(message: message)
        }
    }

    private static func notMade(_ message: String) -> Problem {
        Problem(
            message:
                "Prism's tables could not be made (\(message)); grant CREATE on the database, or have its owner run `prism schema apply`"
        )
    }
}
