import ArgumentParser
import Glibc
import PrismTools
import PrismWire

struct Drain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Begin the ending: the preStop hook.",
        discussion: """
            drain.mode native (a Kubernetes native sidecar, systemd): returns at once; --wait is refused.
            drain.mode classic (a plain container beside the app): use --wait, which returns when lame duck has ended.

            Examples:
              preStop: {exec: {command: ["prism", "drain"]}}            (native)
              preStop: {exec: {command: ["prism", "drain", "--wait"]}}  (classic)

            Exit codes: 0 it drains; 1 it failed; 2 usage, or --wait in native mode.
            """)

    @Flag(name: .long, help: "Return when lame duck has ended (classic mode only).")
    var wait = false

    @Option(help: ArgumentHelp("How long to wait for the answer.", valueName: "duration"))
    var timeout: DurationArgument?

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        // Lame duck's own budget ends the wait; the limit is for a sidecar that hangs.
        let limit = timeout?.milliseconds ?? (wait ? 3_600_000 : 5_000)
        let path = try admin.socketPath()
        let wasThere = access(path, F_OK) == 0
        let response: HTTPResponse
        do {
            response = try admin.request("POST", wait ? "/drain?wait=true" : "/drain", timeoutMilliseconds: limit)
        } catch {
            // It may end faster than it answers. Only an orderly end removes the socket.
            guard wasThere, access(path, F_OK) != 0 else { throw error }
            return try output.print("draining: STOPPED") { json in json.field("state", "STOPPED") }
        }
        guard (200..<300).contains(response.status) else { throw ToolError.admin(response, doing: "drain") }
        let state = JSONValue(parsing: response.text).flatMap { $0["state"] ?? $0["drain_state"] }?.string ?? ""
        if output.json && JSONValue(parsing: response.text) != nil {
            let standardOutput = StandardOutput()
            standardOutput.write(response.text.trimmedLine + "\n")
            return try standardOutput.finish()
        }
        try output.print(state.isEmpty ? "draining" : "draining: \(Printable.terminal(state))") { json in
            json.field("state", state)
        }
    }
}
