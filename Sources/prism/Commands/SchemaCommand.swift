import ArgumentParser
import PrismSQLite
import PrismTools
import PrismWire

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print or apply the tables that Prism keeps.",
        subcommands: [SchemaPrint.self, SchemaApply.self])
}

struct SchemaPrint: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print", abstract: "Print the statements.",
        discussion: """
            With --json: {"sql"}.

            Examples:
              prism schema print

            Exit codes: 0 printed; 1 the output could not be written; 2 usage.
            """)

    @OptionGroup var output: OutputOptions

    func run() throws {
        let sql = Schema.print()
        try output.print(String(sql.last == "\n" ? sql.dropLast() : sql[...])) { $0.field("sql", sql) }
    }
}

struct SchemaApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Create what is missing in a file.",
        discussion: """
            Safe when several start at once; `prism serve` does it by itself.

            Examples:
              prism schema apply --sqlite data.db

            Exit codes: 0 the tables are there; 1 it failed; 2 usage.
            """)

    @Option(help: ArgumentHelp("The SQLite file.", valueName: "file"))
    var sqlite: String

    @OptionGroup var output: OutputOptions

    func run() throws {
        do throws(Failure) {
            try Schema.apply(settings: SQLiteSettings(path: sqlite))
        } catch {
            throw ToolError.failed(error)
        }
        try output.print("\(Printable.terminal(sqlite)) has Prism's tables") { json in
            json.field("file", sqlite)
            json.field("applied", true)
        }
    }
}
