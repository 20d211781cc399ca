import PrismCore

/// A database with Prism's tables, on a server that these tests share.
struct StatementDatabase {
    private static let cluster = Result { try Cluster(settings: ["max_connections=100", "autovacuum=off"]) }

    let conninfo: String

    init(_ name: String) throws {
        let cluster = try Self.cluster.get()
        try Session(conninfo: cluster.conninfo).execute("CREATE DATABASE \(name) TEMPLATE template0")
        conninfo = cluster.conninfo + " dbname=\(name)"
        try Session(conninfo: conninfo).execute(PostgreSQLSchema.print())
    }
}
