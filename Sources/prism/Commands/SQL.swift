import ArgumentParser
import PrismTools

struct SQL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql",
        abstract: "Run one SQL statement.",
        discussion: """
            Parameters fill $1, $2 … A parameter that is an integer or a decimal number in its usual form is sent as one, \
            everything else (also 007 and +1) as text; --text sends all as text. Put -- before parameters that begin with \
            a dash.

            On a terminal rows are a table; otherwise tab-separated lines under a line of column names, escaped as \
            PostgreSQL's COPY does (\\t, \\n, \\\\, NULL is \\N). With --json: {"columns", "rows", "tag", "rows_affected", \
            "complete"}; bytes are {"base64": "…"}.

            Examples:
              prism sql 'select 1'
              prism sql 'insert into orders (id, note) values ($1, $2)' 17 'two of them'
              prism sql --read-only --json 'select * from orders where id = $1' 17
              prism sql --null NULL 'update orders set note = $1 where id = $2' NULL 17
              prism sql 'select $1' -- -5
              prism sql --named order_by_id 17
              prism sql - < report.sql

            Exit codes: 0 done; 1 it failed; 2 usage.
            """)

    @Argument(help: "The statement; - reads it from standard input. With --named its name.")
    var statement: String

    @Argument(help: "Values for $1, $2 …")
    var parameters: [String] = []

    @Flag(name: .long, help: "Run the statement of the configuration that has this name.")
    var named = false

    @Flag(name: .long, help: "Send every parameter as text.")
    var text = false

    @Option(help: ArgumentHelp("Send parameters that are exactly this text as NULL.", valueName: "text"))
    var null: String?

    @Flag(name: .long, help: "Promise to write nothing.")
    var readOnly = false

    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let isInput = statement == "-" && !named
        let sql = isInput ? String(decoding: try StandardInput.read(), as: UTF8.self) : statement
        let values = parameters.map { parameter -> SQLValue in
            if parameter == null { return .null }
            return text ? .text(parameter) : ParameterText.value(parameter)
        }
        let standardOutput = StandardOutput()
        var printer = QueryPrinter(format: output.format(standardOutput), output: standardOutput)
        let client = try data.connect()
        do throws(ToolError) {
            let operation: Operation =
                named ? .namedQuery(statement: sql, parameters: values) : .query(sql: sql, parameters: values)
            try client.call(operation, data.request(isReadOnly: readOnly)) { answer in
                guard let result = answer.pointee.query?.pointee else { return }
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
