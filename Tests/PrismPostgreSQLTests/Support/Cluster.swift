import CPostgreSQL
import Foundation
import Testing

/// A PostgreSQL server of the tests' own: a new cluster in a temporary directory, reached through a Unix socket in it. Ends with
/// this object, and with the process that made it however that ends.
final class Cluster: @unchecked Sendable {
    struct Failed: Error {
        var message: String
    }

    /// One for all tests that do not change its settings; ends with the process.
    static let shared = Result { try Cluster() }

    let directory: String
    private let process: Process
    private let lifeline = Pipe()
    private let ended: Ended

    /// `waitUntilExit` runs the thread's run loop, and does not always hear of the end.
    private final class Ended: Sendable {
        private let semaphore = DispatchSemaphore(value: 0)

        init(_ process: Process) { process.terminationHandler = { [semaphore] _ in semaphore.signal() } }

        func wait() { semaphore.wait() }
    }

    /// - Parameter settings: `name=value`, for all sessions.
    init(settings: [String] = []) throws {
        let programs = try Self.run("/usr/bin/env", ["pg_config", "--bindir"])
            .trimmingCharacters(in: .whitespacesAndNewlines)
        var template = Array("/tmp/prism-pg-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Failed(message: "mkdtemp: errno \(errno)") }
        directory = String(cString: made)
        let data = directory + "/data"
        if geteuid() == 0 {
            guard let user = getpwnam("postgres"), chown(directory, user.pointee.pw_uid, user.pointee.pw_gid) == 0
            else {
                throw Failed(message: "PostgreSQL refuses to run as root, and there is no user postgres")
            }
        }
        _ = try Self.run(
            "/usr/bin/env",
            Self.asServerUser([
                "\(programs)/initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--no-sync",
                "--no-locale", "--encoding", "UTF8",
            ]))
        try "local all locked scram-sha-256\nlocal all all trust\n"
            .write(toFile: data + "/pg_hba.conf", atomically: false, encoding: .utf8)
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        // Whoever holds the other end of its input keeps the server and its files. No `wait`: threads of this process, and so its
        // children, may have SIGCHLD blocked.
        let watch = #"exec 3<&0; ( (read -r line <&3; kill -QUIT $$; rm -rf "$0") & ); exec "$@" 3<&- </dev/null"#
        let options = [
            "listen_addresses=", "unix_socket_directories=\(directory)", "fsync=off", "max_connections=60",
            "logging_collector=off", "log_destination=stderr",
        ]
        process.arguments =
            Self.asServerUser(["sh", "-c", watch, directory, "\(programs)/postgres", "-D", data])
            + (options + settings).flatMap { ["-c", $0] }
        process.standardInput = lifeline
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        _ = FileManager.default.createFile(atPath: directory + "/server.log", contents: nil)
        let log = FileHandle(forWritingAtPath: directory + "/server.log")
        process.standardOutput = log ?? FileHandle.nullDevice
        process.standardError = log ?? FileHandle.nullDevice
        ended = Ended(process)
        try process.run()
        try lifeline.fileHandleForReading.close()
        let limit = Date() + 60
        while PQping(conninfo) != PQPING_OK {
            guard Date() < limit, process.isRunning else { throw Failed(message: "the server does not start") }
        }
    }

    deinit {
        try? lifeline.fileHandleForWriting.close()
        ended.wait()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// What the server has logged so far.
    var log: String {
        String(decoding: FileManager.default.contents(atPath: directory + "/server.log") ?? Data(), as: UTF8.self)
    }

    /// Of the postmaster.
    var processID: Int32 {
        get throws {
            let text = try String(contentsOfFile: directory + "/data/postmaster.pid", encoding: .utf8)
            guard let first = text.split(separator: "\n").first, let number = Int32(first) else {
                throw Failed(message: "postmaster.pid: \(text)")
            }
            return number
        }
    }

    var conninfo: String { "host=\(directory) user=postgres dbname=postgres" }

    private static func asServerUser(_ command: [String]) -> [String] {
        geteuid() == 0
            ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] + command : command
    }

    private static func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: "/tmp")
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        let ended = Ended(process)
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        ended.wait()
        guard process.terminationStatus == 0 else { throw Failed(message: "\(arguments): \(text)") }
        return text
    }
}
