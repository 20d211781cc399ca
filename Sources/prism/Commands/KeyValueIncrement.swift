import ArgumentParser
import PrismTools
import PrismWire

struct KeyValueIncrement: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "increment",
        abstract: "Add to the decimal number at a key.",
        discussion: """
            Prints the new value. A key that is not there counts as 0; past 64 bits it fails with OUT_OF_RANGE.

            Examples:
              prism kv increment visits
              prism kv increment stock --by -3
              prism kv increment attempts:17 --ttl 1m

            Exit codes: 0 done; 1 it failed; 2 usage.
            """)

    @Argument(help: "1 to 1,024 bytes.")
    var key: String

    @Option(parsing: .unconditional, help: ArgumentHelp("How much; may be negative.", valueName: "delta"))
    var by: Int64 = 1

    @Option(help: ArgumentHelp("Time to live if this creates the entry.", valueName: "duration"))
    var ttl = DurationArgument(nanoseconds: 0)

    @OptionGroup var namespace: NamespaceOption
    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let operation = Operation.increment(
            namespace: namespace.namespace, key: Array(key.utf8), delta: by,
            timeToLiveOnCreationMilliseconds: ttl.milliseconds)
        let (value, version) = try data.connect().single(operation, data.request()) {
            ($0.pointee.increment?.pointee.value ?? 0, $0.pointee.increment?.pointee.version ?? 0)
        }
        try output.print("\(value)") { json in
            json.field("value", value)
            json.field("version", version)
        }
    }
}
