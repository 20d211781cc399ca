import ArgumentParser
import PrismTools
import PrismWire

struct KeyValueCount: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "count",
        abstract: "Count entries.",
        discussion: """
            Examples:
              prism kv count
              prism kv count --prefix session:

            Exit codes: 0 counted; 1 it failed; 2 usage.
            """)

    @OptionGroup var range: RangeOptions
    @OptionGroup var namespace: NamespaceOption
    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let operation = Operation.count(namespace: namespace.namespace, range.range)
        let count = try data.connect().single(operation, data.request(isReadOnly: true)) {
            $0.pointee.count?.pointee.count ?? 0
        }
        try output.print("\(count)") { $0.field("count", count) }
    }
}
