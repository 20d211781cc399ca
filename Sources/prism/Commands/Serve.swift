import ArgumentParser
import PrismTools

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the sidecar.",
        discussion: """
            Without arguments it serves an embedded SQLite file.

            Examples:
              prism serve --sqlite data.db
              prism serve --config /etc/prism/prism.yaml
              prism serve --postgres 'host=db.internal user=app dbname=app'   (password: PGPASSWORD or a file)

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

    @Option(help: ArgumentHelp("Serve this PostgreSQL database; without a password.", valueName: "conninfo"))
    var postgres: String?

    func run() throws {
        throw ToolError.usage("`prism serve` is not wired yet")
    }
}
