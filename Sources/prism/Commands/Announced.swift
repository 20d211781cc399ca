import ArgumentParser
import PrismTools

/// Commands that are promised and have not come yet: any arguments, exit code 2.
protocol AnnouncedCommand: ParsableCommand {
    var arguments: [String] { get }
}

extension AnnouncedCommand {
    static func announced(_ abstract: String) -> CommandConfiguration {
        CommandConfiguration(abstract: "\(abstract) (not in this version)")
    }

    func run() throws {
        throw ToolError.usage(
            "`prism \(Self._commandName)` is not in this version", remedy: "see CHANGELOG.md for what is")
    }
}

struct Top: AnnouncedCommand {
    static let configuration = announced("Watch what the sidecar is doing.")
    @Argument(parsing: .allUnrecognized, help: .hidden) var arguments: [String] = []
}

struct Reload: AnnouncedCommand {
    static let configuration = announced("Read the configuration again.")
    @Argument(parsing: .allUnrecognized, help: .hidden) var arguments: [String] = []
}

struct Doctor: AnnouncedCommand {
    static let configuration = announced("Find what is wrong.")
    @Argument(parsing: .allUnrecognized, help: .hidden) var arguments: [String] = []
}

struct Backup: AnnouncedCommand {
    static let configuration = announced("Copy a live SQLite file.")
    @Argument(parsing: .allUnrecognized, help: .hidden) var arguments: [String] = []
}

struct Conformance: AnnouncedCommand {
    static let configuration = announced("Test another client.")
    @Argument(parsing: .allUnrecognized, help: .hidden) var arguments: [String] = []
}

struct Inject: AnnouncedCommand {
    static let configuration = announced("Add the sidecar to a workload.")
    @Argument(parsing: .allUnrecognized, help: .hidden) var arguments: [String] = []
}
