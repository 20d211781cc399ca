import ArgumentParser
import PrismTools
import PrismWire

struct KeyValueScan: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "List entries in key order.",
        discussion: """
            On a terminal a table; otherwise key and value separated by a tab, escaped as PostgreSQL's COPY does. With \
            --json: {"entries", "cursor", "complete"}; "complete" is false when an error ended the list. Where --limit \
            ended the scan, the cursor goes on behind it; give the same range and direction again.

            Examples:
              prism kv scan
              prism kv scan --prefix session: --keys-only
              prism kv scan --start a --end b --reverse --limit 10

            Exit codes: 0 listed, also when there is nothing; 1 it failed; 2 usage.
            """)

    @OptionGroup var range: RangeOptions

    @Flag(name: .long, help: "From the last key to the first.")
    var reverse = false

    @Flag(name: .long, help: "Leave out the values.")
    var keysOnly = false

    @Option(help: ArgumentHelp("At most so many entries; 0: all.", valueName: "count"))
    var limit: UInt64 = 0

    @Option(help: ArgumentHelp("Go on behind a former scan.", valueName: "cursor"))
    var cursor = ""

    @OptionGroup var namespace: NamespaceOption
    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if Base64.decode(cursor) == nil { throw ValidationError("--cursor is not one that a scan printed") }
    }

    func run() throws {
        let scan = Operation.Scan(
            range: range.range, isReverse: reverse, isKeysOnly: keysOnly, limit: limit,
            cursor: Base64.decode(cursor) ?? [])
        let standardOutput = StandardOutput()
        var printer = ScanPrinter(
            format: output.format(standardOutput), isKeysOnly: keysOnly, output: standardOutput)
        let client = try data.connect()
        do throws(ToolError) {
            try client.call(
                .scan(namespace: namespace.namespace, scan), data.request(isReadOnly: true)
            ) { answer in
                guard let result = answer.pointee.scan?.pointee else { return }
                printer.take(result)
                if answer.pointee.more == 0 { printer.finish(result) }
            }
        } catch {
            printer.abandon()
            standardOutput.flush()
            throw error
        }
        try standardOutput.finish()
    }
}
