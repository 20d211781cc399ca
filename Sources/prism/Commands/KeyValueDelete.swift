import ArgumentParser
import PrismTools
import PrismWire

struct KeyValueDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete a key.",
        discussion: """
            Examples:
              prism kv delete greeting
              prism kv delete greeting --if-version 42

            Exit codes: 0 it was there and is gone; 1 it was not there, or it failed; 2 usage.
            """)

    @Argument(help: "1 to 1,024 bytes.")
    var key: String

    @Option(help: ArgumentHelp("Only if the entry has this version.", valueName: "version"))
    var ifVersion: UInt64?

    @OptionGroup var namespace: NamespaceOption
    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let operation = Operation.delete(
            namespace: namespace.namespace, key: Array(key.utf8), versionEquals: ifVersion)
        let isFound = try data.connect().single(operation, data.request()) {
            ($0.pointee.delete_?.pointee.found ?? 0) != 0
        }
        guard isFound else { try reportMissing(key, output) { $0.field("found", false) } }
        try output.print("deleted") { $0.field("found", true) }
    }
}
