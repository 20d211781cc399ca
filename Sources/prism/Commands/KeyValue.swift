import ArgumentParser
import PrismTools

struct KeyValue: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kv",
        abstract: "Read and write key-value entries.",
        discussion: """
            Examples:
              prism kv put greeting hello
              prism kv get greeting
              prism kv put session:17 - --ttl 30m --if-absent < session.json
              prism kv increment visits --by 5
              prism kv scan --prefix session: --limit 10

            Exit codes: 0 done; 1 it failed, or the key is not there; 2 usage.
            """,
        subcommands: [
            KeyValueGet.self, KeyValuePut.self, KeyValueDelete.self, KeyValueIncrement.self, KeyValueTouch.self,
            KeyValueScan.self, KeyValueCount.self,
        ])
}

struct NamespaceOption: ParsableArguments {
    @Option(
        name: [.long, .customShort("n")], help: ArgumentHelp("The namespace: 1–64 of a-z 0-9 -.", valueName: "name"))
    var namespace = "default"
}

/// The key is not there: not a failure of the sidecar's, and nothing to do about it.
func reportMissing(_ key: String, _ output: OutputOptions, _ fill: (inout JSONWriter) -> Void) throws -> Never {
    if output.json {
        try output.print("", json: fill)
    } else {
        let standardError = StandardOutput(descriptor: 2)
        standardError.write("prism: there is no key \(Printable.terminal(key))\n")
        standardError.flush()
    }
    throw ExitCode(1)
}
