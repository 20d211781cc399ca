import ArgumentParser
import PrismTools
import PrismWire

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what the sidecar is doing.",
        discussion: """
            Examples:
              prism status
              prism status --json

            Exit codes: 0 shown; 1 no answer; 2 usage.
            """)

    @Option(help: ArgumentHelp("How long to wait for the answer.", valueName: "duration"))
    var timeout = DurationArgument(nanoseconds: 5_000_000_000)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let response = try admin.request("GET", "/status", timeoutMilliseconds: timeout.milliseconds)
        guard response.status == 200 else { throw ToolError.admin(response, doing: "status") }
        let standardOutput = StandardOutput()
        if output.json {
            standardOutput.write(response.body)
            if response.body.last != UInt8(ascii: "\n") { standardOutput.write("\n") }
        } else if let status = JSONValue(parsing: response.text) {
            standardOutput.write(JSONOutline.text(status))
        } else {
            standardOutput.write(Printable.terminalLines(response.text) + "\n")
        }
        try standardOutput.finish()
    }
}
