import CPostgreSQL
import Foundation
import PrismCore

/// A PostgreSQL of these tests' own, with Prism's tables: on a Unix socket in a directory that goes away with it.
final class StatementServer: @unchecked Sendable {
    struct Unusable: Error, CustomStringConvertible {
        let description: String
    }

    /// Started by the first test that asks, ended with the process.
    static let shared: Result<StatementServer, any Error> = Result { try StatementServer() }

    let directory: String
    private let process: Process

    private init() throws {
        directory = "/tmp/prism-statements-\(getpid())"
        try Self.run("mkdir", "-m", "0700", directory)
        // It refuses to run as root.
        if getuid() == 0 { try Self.run("chown", "postgres", directory) }
        try Self.run(
            Self.asServer(
                "initdb", "--pgdata", "\(directory)/data", "--auth", "trust", "--username", "prism", "--no-sync"))
        // A child of ours and no daemon: Foundation waits for a command until its last descendant has gone.
        process = try Self.start(
            Self.asServer(
                "postgres", "-D", "\(directory)/data", "-k", directory, "-c", "listen_addresses=", "-c", "fsync=off",
                "-c",
                "max_connections=100", "-c", "autovacuum=off", "-c", "deadlock_timeout=100ms"))
        while PQping("host=\(directory) dbname=postgres user=prism") != PQPING_OK {
            guard process.isRunning else { throw Unusable(description: "the server has ended; see \(directory)") }
        }
        atexit { try? StatementServer.shared.get().stop() }
    }

    /// A database of its own, with Prism's tables.
    func database(_ name: String) throws {
        try Session(self, database: "postgres").execute("CREATE DATABASE \(name) TEMPLATE template0 ENCODING 'UTF8'")
        try Session(self, database: name).execute(PostgreSQLSchema.print())
    }

    private func stop() throws {
        kill(process.processIdentifier, SIGQUIT)
        process.waitUntilExit()
        try Self.run("rm", "-r", directory)
    }

    private static func asServer(_ program: String, _ arguments: String...) -> [String] {
        let identity = getuid() == 0 ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] : []
        return identity + ["/usr/lib/postgresql/15/bin/\(program)"] + arguments
    }

    private static func run(_ arguments: String...) throws { try run(arguments) }

    private static func run(_ arguments: [String]) throws {
        let process = try start(arguments)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Unusable(description: "\(arguments.joined(separator: " ")): exit \(process.terminationStatus)")
        }
    }

    private static func start(_ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: "/")
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }
}
