import ArgumentParser
import PrismTools
import PrismWire

struct KeyValueGet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print the value of a key.",
        discussion: """
            Not on a terminal exactly the value's bytes are printed, without a line end. With --json: "found", "key", \
            "value" (or "value_base64" where it is not UTF-8), "version", "expires_at_milliseconds" (0: never).

            Examples:
              prism kv get greeting
              prism kv get logo --namespace assets > logo.png

            Exit codes: 0 printed; 1 it is not there, or it failed; 2 usage.
            """)

    @Argument(help: "1 to 1,024 bytes.")
    var key: String

    @OptionGroup var namespace: NamespaceOption
    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let operation = Operation.get(namespace: namespace.namespace, key: Array(key.utf8))
        var result = Entry()
        try data.connect().call(operation, data.request(isReadOnly: true)) { answer in
            guard let get = answer.pointee.get?.pointee else { return }
            result.isFound = get.found != 0
            result.value = Array(get.value.bytes)
            result.version = get.version
            result.expiresAtMilliseconds = get.expires_at_milliseconds
        }
        guard result.isFound else {
            try reportMissing(key, output) { json in
                json.field("found", false)
                json.field("key", key)
            }
        }
        if output.json {
            try output.print("") { json in
                json.field("found", true)
                json.field("key", key)
                result.value.withUnsafeBytes { json.field("value", bytes: $0) }
                json.field("version", result.version)
                json.field("expires_at_milliseconds", result.expiresAtMilliseconds)
            }
        } else {
            let standardOutput = StandardOutput()
            if standardOutput.isTerminal {
                standardOutput.write(result.value.withUnsafeBytes { Printable.terminalLines($0) } + "\n")
            } else {
                standardOutput.write(result.value)
            }
            try standardOutput.finish()
        }
    }

    private struct Entry {
        var isFound = false
        var value: [UInt8] = []
        var version: UInt64 = 0
        var expiresAtMilliseconds: UInt64 = 0
    }
}
