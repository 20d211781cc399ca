import ArgumentParser
import PrismTools

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Generate load and measure it.")

    func run() throws {
        throw ToolError.usage("`prism bench` is not in this version")
    }
}
