import ArgumentParser
import PrismTools
import PrismWire

struct KeyValuePut: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Set the value of a key.",
        discussion: """
            Prints the entry's new version. A condition that does not hold fails with FAILED_PRECONDITION and the current \
            version (0: not there).

            Examples:
              prism kv put greeting hello
              prism kv put session:17 - --ttl 30m < session.json
              prism kv put lock me --ttl 10s --if-absent
              prism kv put greeting hi --if-version 42
              prism kv put temperature -- -5

            Exit codes: 0 done; 1 the condition does not hold, or it failed; 2 usage.
            """)

    @Argument(help: "1 to 1,024 bytes.")
    var key: String

    @Argument(help: "The value; - reads it from standard input.")
    var value: String

    @Option(help: ArgumentHelp("Time to live, such as 30m. Default: it does not expire.", valueName: "duration"))
    var ttl = DurationArgument(nanoseconds: 0)

    @Flag(name: .long, help: "Only if the key is not there.")
    var ifAbsent = false

    @Flag(name: .long, help: "Only if the key is there.")
    var ifPresent = false

    @Option(help: ArgumentHelp("Only if the entry has this version.", valueName: "version"))
    var ifVersion: UInt64?

    @OptionGroup var namespace: NamespaceOption
    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if (ifAbsent ? 1 : 0) + (ifPresent ? 1 : 0) + (ifVersion == nil ? 0 : 1) > 1 {
            throw ValidationError("--if-absent, --if-present and --if-version exclude each other")
        }
    }

    private var condition: Operation.Condition? {
        if ifAbsent { return .absent }
        if ifPresent { return .present }
        return ifVersion.map { .versionEquals($0) }
    }

    func run() throws {
        let bytes = value == "-" ? try StandardInput.read() : Array(value.utf8)
        let put = Operation.Put(
            key: Array(key.utf8), value: bytes, timeToLiveMilliseconds: ttl.milliseconds, condition: condition)
        let version = try data.connect().single(.put(namespace: namespace.namespace, put), data.request()) {
            $0.pointee.put?.pointee.version ?? 0
        }
        try output.print("version \(version)") { $0.field("version", version) }
    }
}
