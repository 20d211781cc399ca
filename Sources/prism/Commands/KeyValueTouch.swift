import ArgumentParser
import PrismTools
import PrismWire

struct KeyValueTouch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "touch",
        abstract: "Set or remove the time to live of a key.",
        discussion: """
            Examples:
              prism kv touch session:17 --ttl 30m
              prism kv touch session:17 --ttl 0        (it does not expire any more)

            Exit codes: 0 done; 1 the key is not there, or it failed; 2 usage.
            """)

    @Argument(help: "1 to 1,024 bytes.")
    var key: String

    @Option(help: ArgumentHelp("Time to live from now; 0: none.", valueName: "duration"))
    var ttl: DurationArgument

    @OptionGroup var namespace: NamespaceOption
    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let operation = Operation.touch(
            namespace: namespace.namespace, key: Array(key.utf8), timeToLiveMilliseconds: ttl.milliseconds)
        let isFound = try data.connect().single(operation, data.request()) {
            ($0.pointee.touch?.pointee.found ?? 0) != 0
        }
        guard isFound else { try reportMissing(key, output) { $0.field("found", false) } }
        try output.print("touched") { $0.field("found", true) }
    }
}
