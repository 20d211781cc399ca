import ArgumentParser
import PrismTools

/// The binary: commands and their wiring. What they share lives in PrismTools.
struct Prism: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prism",
        abstract: "One Unix socket for a pod's key-value data and SQL.",
        discussion: """
            Try it:
              prism serve --sqlite /tmp/try.db
              prism kv put greeting hello && prism kv get greeting
              prism sql 'select 1'

            Exit codes: 0 done; 1 it failed, or the key is not there; 2 usage or configuration. \
            `prism serve` also: 3 requests were cut and drain.strict_exit is set; 4 the socket is served by another.
            """,
        version: PrismVersion.string,
        groupedSubcommands: [
            CommandGroup(name: "Serve", subcommands: [Serve.self, ConfigCommand.self, SchemaCommand.self]),
            CommandGroup(name: "Use", subcommands: [KeyValue.self, SQL.self]),
            CommandGroup(
                name: "For Kubernetes and scripts",
                subcommands: [Ping.self, Wait.self, Probe.self, Drain.self, Reload.self]),
            CommandGroup(name: "Watch and measure", subcommands: [Status.self, Top.self, Bench.self]),
            CommandGroup(
                name: "Announced",
                subcommands: [Doctor.self, Backup.self, Conformance.self, Inject.self]),
        ])
}
