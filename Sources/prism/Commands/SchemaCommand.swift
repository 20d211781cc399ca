import ArgumentParser
import PrismConfiguration
import PrismCore
import PrismPostgreSQL
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
            Those for SQLite, or with --postgres those for PostgreSQL. With --json: {"sql"}.

            Examples:
              prism schema print
              prism schema print --postgres

            Exit codes: 0 printed; 1 the output could not be written; 2 usage.
            """)

    @Flag(help: "Those for PostgreSQL.")
    var postgres = false

    @OptionGroup var output: OutputOptions

    func run() throws {
        let sql = postgres ? PostgreSQLSchema.print() : Schema.print()
        try output.print(String(sql.last == "\n" ? sql.dropLast() : sql[...])) { $0.field("sql", sql) }
    }
}

struct SchemaApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Create what is missing in a file or a database.",
        discussion: """
            Safe when several start at once; `prism serve` does it by itself where it may. The rights it takes: \
            docs/postgresql.md.

            Examples:
              prism schema apply --sqlite data.db
              prism schema apply --postgres 'host=/run/postgresql dbname=app user=owner'

            Exit codes: 0 the tables are there; 1 it failed; 2 usage.
            """)

    @Option(help: ArgumentHelp("The SQLite file.", valueName: "file"))
    var sqlite: String?

    @Option(
        help: ArgumentHelp(
            "The PostgreSQL database: libpq's connection string or URL, without a password.", valueName: "conninfo"))
    var postgres: String?

    @Option(help: ArgumentHelp("A file that holds the PostgreSQL password and nothing else.", valueName: "file"))
    var passwordFile: String?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (sqlite == nil) != (postgres == nil) else {
            throw ValidationError("name either --sqlite <file> or --postgres <conninfo>")
        }
        guard passwordFile == nil || postgres != nil else {
            throw ValidationError("--password-file belongs to --postgres")
        }
    }

    func run() throws {
        if let sqlite {
            try apply { () throws(Failure) in try Schema.apply(settings: SQLiteSettings(path: sqlite)) }
            try output.print("\(Printable.terminal(sqlite)) has Prism's tables") { json in
                json.field("file", sqlite)
                json.field("applied", true)
            }
        }
        if let postgres {
            // Refuses what `serve` would refuse, a password above all.
            _ = try ConfigurationLoading.load(file: nil, overrides: Overrides(postgres: postgres))
            var settings = ConnectSettings()
            settings.conninfo = postgres
            settings.passwordFile = passwordFile
            try apply { () throws(Failure) in try SchemaApplication.run(settings) }
            try output.print("the database has Prism's tables") { $0.field("applied", true) }
        }
    }

    private func apply(_ body: () throws(Failure) -> Void) throws {
        do throws(Failure) { try body() } catch { throw ToolError.failed(error) }
    }
}
