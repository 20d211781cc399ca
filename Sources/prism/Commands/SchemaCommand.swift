import ArgumentParser
import PrismTools

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print or apply the tables that Prism keeps.")

    func run() throws {
        throw ToolError.usage("`prism schema` is not in this version")
    }
}
