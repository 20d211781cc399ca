import Testing

@testable import PrismConfiguration

@Suite("Output")
struct OutputTests {
    @Test("config show names every setting, its value and its source")
    func show() throws {
        let configuration = try load(
            "limits:\n  frame_bytes: 2MiB\nrules:\n  - uid: 7\n", environment: ["PRISM_LOG_LEVEL": "debug"],
            overrides: Overrides(sqlite: "/x.db"))
        let lines = configuration.show(json: false).split(separator: "\n").map { line in
            line.split(separator: " ").joined(separator: " ")
        }
        #expect(lines.contains("limits.frame_bytes = 2MiB # prism.yaml:2"))
        #expect(lines.contains("log.level = debug # PRISM_LOG_LEVEL"))
        #expect(lines.contains("backends.main.path = /x.db # --sqlite"))
        #expect(lines.contains("rules[0].uid = 7 # prism.yaml:4"))
        #expect(lines.contains("drain.total = 25s # default"))
        for setting in SettingsTable.global {
            #expect(lines.contains { $0.hasPrefix("\(setting.name) = ") })
        }
        let json = configuration.show(json: true)
        #expect(json.contains(#""name": "limits.frame_bytes","#))
        #expect(json.contains(#""source": "PRISM_LOG_LEVEL""#))
    }

    @Test("JSON text is escaped")
    func escaping() {
        #expect(JSONValue.string("a\"\\\n\u{1}ü").text() == #""a\"\\\n\u0001ü""#)
    }

    @Test("The schema names every setting")
    func schema() {
        let schema = Configuration.jsonSchema()
        for key in SettingsTable.global.map(\.key) + SettingsTable.sqlite.map(\.key) + SettingsTable.rule.map(\.key) {
            #expect(schema.contains("\"\(key)\": {"))
        }
    }

    @Test("Names are unique, and so are their variables")
    func uniqueNames() {
        let names = SettingsTable.global.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(SettingsTable.global.map(\.environmentName)).count == names.count)
        for kind in Configuration.Backend.Kind.allCases {
            let keys = SettingsTable.settings(of: kind).map(\.key)
            #expect(Set(keys).count == keys.count)
        }
    }

    @Test("Every default is in its own range")
    func defaults() throws {
        func check<Root>(_ setting: Setting<Root>) throws {
            guard case .list = setting.defaultValue else {
                if let text = setting.defaultValue.text, !text.isEmpty {
                    #expect(try setting.type.parse(text) == setting.defaultValue, "\(setting.name)")
                }
                return
            }
        }
        for setting in SettingsTable.global { try check(setting) }
        for setting in SettingsTable.sqlite + SettingsTable.postgresql + SettingsTable.backend { try check(setting) }
    }
}
