import Glibc
import Testing

@testable import PrismConfiguration

@Suite("Documentation")
struct DocumentationTests {
    /// With UPDATE_DOCS set the tables are written instead of checked.
    private func hold(_ path: String, _ marker: String, _ table: String) throws {
        let page = try Repository.text(path)
        let begin = "<!-- \(marker):begin -->\n"
        let end = "<!-- \(marker):end -->"
        let first = try #require(page.firstRange(of: begin)).upperBound
        let last = try #require(page.firstRange(of: end)).lowerBound
        if getenv("UPDATE_DOCS") != nil {
            Repository.write(String(page[..<first]) + table + String(page[last...]), to: path)
        } else {
            #expect(page[first..<last] == table, "run UPDATE_DOCS=1 swift test --filter PrismConfigurationTests")
        }
    }

    @Test("docs/configuration.md has every setting with its default, as the program has it")
    func configuration() throws {
        try hold("docs/configuration.md", "settings", DocumentationTables.settings)
        try hold("docs/configuration.md", "backends", DocumentationTables.backends)
        try hold("docs/configuration.md", "statements", DocumentationTables.statements)
        try hold("docs/configuration.md", "rules", DocumentationTables.rules)
    }

    @Test("docs/limits.md has every limit with its default and what happens there")
    func limits() throws {
        try hold("docs/limits.md", "limits", DocumentationTables.limits)
        try hold("docs/limits.md", "backend-limits", DocumentationTables.backendLimits)
        // Whatever is called a limit says what happens at it.
        #expect(SettingsTable.limits.allSatisfy { $0.atLimit != nil })
    }

    @Test("prism.yaml as it stands is the defaults")
    func sample() throws {
        let configuration = try parse(try Repository.text("prism.yaml"))
        #expect(values(configuration) == values(.defaults))
        #expect(configuration.warnings.isEmpty)
    }

    @Test("prism.yaml shows every setting, and with everything switched on it is valid")
    func sampleSwitchedOn() throws {
        let lines = try Repository.text("prism.yaml").split(separator: "\n", omittingEmptySubsequences: false).map {
            line -> String in
            guard let mark = line.firstIndex(of: "#"), line[..<mark].allSatisfy({ $0 == " " }),
                let next = line[line.index(after: mark)...].first, next != " "
            else { return String(line) }
            return String(line[..<mark]) + String(line[line.index(after: mark)...])
        }
        let configuration = try parse(lines.joined(separator: "\n"))
        #expect(configuration.backends.map(\.name) == ["main", "orders"])
        #expect(configuration.statements.map(\.name) == ["order", "place_order"])
        #expect(configuration.rules.count == 2)
        for setting in SettingsTable.global {
            #expect(configuration.origin(of: setting.name).layer == "file", "\(setting.name) is missing")
        }
        for setting in SettingsTable.settings(of: .sqlite) {
            #expect(
                configuration.origin(of: "backends.main.\(setting.key)").layer == "file", "\(setting.key) is missing")
        }
        for setting in SettingsTable.postgresql {
            #expect(
                configuration.origin(of: "backends.orders.\(setting.key)").layer == "file", "\(setting.key) is missing")
        }
        let defaults = BackendDraft()
        let orders = BackendDraft(configuration.backends[1])
        for setting in SettingsTable.postgresql where setting.key != "conninfo" && setting.key != "password_file" {
            #expect(setting.read(orders) == setting.read(defaults), "\(setting.key) does not show its default")
        }
    }
}
