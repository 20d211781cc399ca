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
    static let configuration = CommandConfiguration(commandName: "print", abstract: "Print the statements.")

    func run() throws {
        let output = StandardOutput(descriptor: 1)
        output.write(Schema.print())
        output.flush()
    }
}

struct SchemaApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Create what is missing in a file.",
        discussion: "Safe when several start at once; `prism serve` does it by itself.")

    @Option(help: ArgumentHelp("The SQLite file.", valueName: "file"))
    var sqlite: String

    func run() throws {
        do throws(Failure) {
            try Schema.apply(settings: SQLiteSettings(path: sqlite))
        } catch {
            let output = StandardOutput(descriptor: 2)
            output.write("\(error.code.name): \(error.message)\n")
            output.flush()
            throw ExitCode(1)
        }
    }
}
