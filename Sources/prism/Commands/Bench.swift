import ArgumentParser
import PrismConfiguration
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
            key, or the statement that --sql gives; a $1 in it is bound to a number below --keys. pgbench-select and \
            pgbench-tpcb are not in this version.

            With --target the workload sql goes to a PostgreSQL server, or to a pooler before one, instead of the sidecar: the \
            same loop, the same statement, PostgreSQL's own protocol, --in-flight requests outstanding with a Sync each. Each \
            connection prepares the statement; --unnamed parses it with every request, for poolers that know no prepared \
            statements. Nothing there stops a request at --timeout.

            Examples:
              prism bench --workload kv-get --clients 64 --seconds 10
              prism bench --workload kv-put --clients 64 --in-flight 16 --seconds 10 --json
              prism bench --workload sql --clients 10000 --seconds 5
              prism bench --workload kv-get --clients 64 --in-flight 16 --rate 10000 --seconds 10
              prism bench --workload sql --clients 64 --target postgresql:///app?host=/run/postgresql
              prism bench --workload sql --clients 64 --target 'host=/run/pgbouncer port=6432 dbname=app' --unnamed

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

    @Option(
        help: ArgumentHelp(
            "Load this PostgreSQL server or pooler, not the sidecar: libpq's URL or connection string, without a password.",
            valueName: "url"))
    var target: String?

    @Flag(help: "With --target: parse the statement with every request.")
    var unnamed = false

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
        guard target != nil || !unnamed else { throw ValidationError("--unnamed belongs to --target") }
        if target != nil {
            guard workload == LoadPlan.Workload.sql.rawValue else {
                throw ValidationError("--target takes --workload sql: a PostgreSQL server knows no others")
            }
            guard data.socket == nil, data.backend.isEmpty else {
                throw ValidationError("--socket and --backend name a sidecar's, --target loads none")
            }
        }
        guard data.backend.utf8.count <= 64 else { throw ValidationError("--backend has at most 64 bytes") }
    }

    private func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
        if !range.contains(value) {
            throw ValidationError("\(name) is \(value); use \(range.lowerBound) to \(range.upperBound)")
        }
    }

    func run() throws {
        guard let workload = LoadPlan.Workload(rawValue: workload) else {
            let names = LoadPlan.Workload.allCases.map(\.rawValue).joined(separator: ", ")
            let isAnnounced = ["pgbench-select", "pgbench-tpcb"].contains(self.workload)
            throw ToolError.usage(
                isAnnounced
                    ? "the workload \(self.workload) is not in this version"
                    : "there is no workload \(Printable.terminal(self.workload))",
                remedy: "use \(names)")
        }
        var plan = LoadPlan(workload: workload, socketPath: target == nil ? try data.socketPath() : "")
        if let target {
            // Refuses what `serve` would refuse, a password above all.
            _ = try ConfigurationLoading.load(file: nil, overrides: Overrides(postgres: target))
            plan.peer = LoadPeer(conninfo: target, isUnnamed: unnamed)
        }
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
