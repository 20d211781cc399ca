import ArgumentParser
import PrismTools

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Generate load and measure it.",
        discussion: """
            A closed loop: every client keeps --in-flight requests in flight. With --rate a fixed rate instead: requests are \
            meant to be sent at even times, latencies count from these times, and --in-flight is the most on each \
            connection; what found no place until the end is counted as UNSENT. First keys in a namespace bench-RUN, or rows \
            in a table bench_rows_RUN, are put in place; then one second warms up, --seconds are measured, and all of it is \
            removed again, also after SIGINT or SIGTERM. Only OK answers count as requests and into the latencies.

            Workloads: kv-get; kv-put, every value another; kv-mixed, 90 % get and 10 % put; sql, a row by its primary \
            key, or the statement that --sql gives. pgbench-select, pgbench-tpcb and --target are not in this version.

            Examples:
              prism bench --workload kv-get --clients 64 --seconds 10
              prism bench --workload kv-put --clients 64 --in-flight 16 --seconds 10 --json
              prism bench --workload sql --clients 10000 --seconds 5
              prism bench --workload kv-get --clients 64 --in-flight 16 --rate 10000 --seconds 10

            Exit codes: 0 measured (look at "errors"); 1 not one request was answered OK, it was interrupted, something \
            could not be removed, or it failed; 2 usage.
            """)

    @Option(help: ArgumentHelp("kv-get, kv-put, kv-mixed or sql.", valueName: "name"))
    var workload: String

    @Option(help: ArgumentHelp("Connections.", valueName: "count"))
    var clients = 1

    @Option(help: ArgumentHelp("Requests in flight on each connection.", valueName: "count"))
    var inFlight = 1

    @Option(help: ArgumentHelp("How long to measure: a plain number.", valueName: "seconds"))
    var seconds = 10.0

    @Option(help: ArgumentHelp("How many keys or rows.", valueName: "count"))
    var keys = 10_000

    @Option(help: ArgumentHelp("Size of a value.", valueName: "bytes"))
    var valueBytes = 100

    @Option(help: ArgumentHelp("Requests a second, at fixed times.", valueName: "count"))
    var rate: Int?

    @Option(help: ArgumentHelp("A read-only statement for the workload sql.", valueName: "statement"))
    var sql: String?

    @Option(help: .hidden) var target: String?

    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try check("--clients", clients, 1...LoadPlan.clientsMax)
        try check("--in-flight", inFlight, 1...LoadPlan.inFlightMax)
        try check("--keys", keys, 1...LoadPlan.keysMax)
        try check("--value-bytes", valueBytes, 1...LoadPlan.valueBytesMax)
        guard clients * inFlight <= LoadPlan.inFlightTotalMax else {
            throw ValidationError("--clients times --in-flight is above \(LoadPlan.inFlightTotalMax)")
        }
        guard seconds > 0, seconds <= 86_400 else {
            throw ValidationError("--seconds is a number above 0, at most 86400")
        }
        if let rate { try check("--rate", rate, 1...LoadPlan.rateMax) }
        if let sql {
            guard workload == LoadPlan.Workload.sql.rawValue else {
                throw ValidationError("--sql belongs to --workload sql")
            }
            try check("the length of --sql", sql.utf8.count, 1...LoadPlan.statementBytesMax)
        }
        guard data.backend.utf8.count <= 64 else { throw ValidationError("--backend has at most 64 bytes") }
    }

    private func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
        if !range.contains(value) {
            throw ValidationError("\(name) is \(value); use \(range.lowerBound) to \(range.upperBound)")
        }
    }

    func run() throws {
        if target != nil {
            throw ToolError.usage("--target is not in this version", remedy: "leave it out: the sidecar")
        }
        guard let workload = LoadPlan.Workload(rawValue: workload) else {
            let names = LoadPlan.Workload.allCases.map(\.rawValue).joined(separator: ", ")
            let isAnnounced = ["pgbench-select", "pgbench-tpcb"].contains(self.workload)
            throw ToolError.usage(
                isAnnounced
                    ? "the workload \(self.workload) is not in this version"
                    : "there is no workload \(Printable.terminal(self.workload))",
                remedy: "use \(names)")
        }
        var plan = LoadPlan(workload: workload, socketPath: try data.socketPath())
        plan.backend = data.backend
        plan.timeoutMicroseconds = data.timeout.microseconds
        plan.clients = clients
        plan.inFlight = inFlight
        plan.measuredNanoseconds = UInt64(seconds * 1e9)
        plan.ratePerSecond = rate
        plan.statement = sql
        plan.keys = keys
        plan.valueBytes = valueBytes
        let report = try LoadRun.run(plan)
        try output.print(String(report.text.dropLast())) { report.write(to: &$0) }
        if report.requests == 0 || report.isInterrupted || report.leftBehind != nil { throw ExitCode(1) }
    }
}
