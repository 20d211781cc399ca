import ArgumentParser
import Glibc
import PrismAdmin
import PrismConfiguration
import PrismCore
import PrismServer
import PrismTools

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the sidecar.",
        discussion: """
            Without arguments it serves an embedded SQLite file, prism.db in the directory of its socket, and says how to \
            try it. Settings: docs/configuration.md; what it logs: docs/operations.md.

            Examples:
              prism serve --sqlite data.db
              prism serve --postgres 'host=/run/postgresql dbname=app'
              prism serve --config /etc/prism/prism.yaml

            Exit codes: 0 an orderly end; 1 anything else; 2 usage or configuration; 3 requests were cut and \
            drain.strict_exit is set; 4 the socket is served by another.
            """)

    @Option(help: ArgumentHelp("The configuration, YAML.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("The data socket.", valueName: "path"))
    var socket: String?

    @Option(help: ArgumentHelp("The admin socket. Default: admin.sock beside the data socket.", valueName: "path"))
    var adminSocket: String?

    @Option(help: ArgumentHelp("Serve this SQLite file.", valueName: "file"))
    var sqlite: String?

    @Option(
        help: ArgumentHelp(
            "Serve this PostgreSQL database: libpq's connection string or URL, without a password.",
            valueName: "conninfo"))
    var postgres: String?

    @Flag(name: .long, help: "Log JSON, also on a terminal.")
    var json = false

    func run() throws {
        let settings = try ConfigurationLoading.load(
            file: config,
            overrides: Overrides(
                socket: socket, adminSocket: adminSocket, sqlite: sqlite, postgres: postgres,
                logFormat: json ? "json" : nil))
        let locations = SocketLocations()
        guard let data = locations.serverDataSocket(option: socket, configured: settings.socket.path) else {
            throw ToolError.usage("no directory for the socket can be written; name one with --socket")
        }
        _ = SocketLocations.createDirectory(forSocket: data)
        let admin = locations.serverAdminSocket(
            option: adminSocket, configured: settings.admin.socket, dataSocket: data)
        let file = SocketLocations<SystemProbe>.directory(of: data) + "/prism.db"
        let isHelpful = isatty(2) == 1
        let code = Server.run(
            configuration: settings, socketPath: data, adminSocketPath: admin, sqlitePathDefault: file,
            extras: Server.Extras(version: PrismVersion.string) { descriptor, control in
                let listener = try AdminListener.start(
                    unixDescriptor: descriptor, tcpAddress: settings.admin.tcp.map { ($0.host, Int($0.port)) },
                    source: ControlSource(control: control))
                return { listener.stop() }
            },
            onServing: {
                guard isHelpful else { return }
                let output = StandardOutput(descriptor: 2)
                output.write(
                    """
                    Try it from another shell:
                      export PRISM_SOCKET=\(data)
                      prism kv put greeting hello
                      prism kv get greeting
                      prism sql 'select 1'

                    """)
                output.flush()
            })
        throw ExitCode(code)
    }
}

/// What the admin listener asks, answered by the server.
private struct ControlSource: AdminSource {
    let control: ServerControl

    var isStarted: Bool { control.isStarted }
    var readinessBackends: [String] { control.readinessBackends }
    func snapshot() async -> StatusSnapshot? { await control.snapshot() }

    func drain(wait: Bool) async -> DrainReply {
        switch await control.drain(wait: wait) {
        case .accepted(let state): .accepted(state)
        case .refused(let reason): .refused(reason: reason)
        }
    }
}
