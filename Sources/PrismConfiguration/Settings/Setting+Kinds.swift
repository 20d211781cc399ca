// One constructor a kind. A value of another kind is never written: `SettingType.parse` answers its own kind only.

typealias SettingPath<Root, Value> = any WritableKeyPath<Root, Value> & Sendable

extension Setting {
    static func boolean(
        _ name: String, _ path: SettingPath<Root, Bool>, _ value: Bool, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .boolean, defaultValue: .boolean(value), documentation: documentation,
            write: { if case .boolean(let value) = $1 { $0[keyPath: path] = value } },
            read: { .boolean($0[keyPath: path]) })
    }

    static func integer(
        _ name: String, _ path: SettingPath<Root, Int>, _ value: Int, in range: ClosedRange<Int>,
        _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .integer(range), defaultValue: .integer(value), documentation: documentation,
            write: { if case .integer(let value) = $1 { $0[keyPath: path] = value } },
            read: { .integer($0[keyPath: path]) })
    }

    /// A uid or gid that may be absent.
    static func id(_ name: String, _ path: SettingPath<Root, UInt32?>, _ documentation: String) -> Self {
        // 2^32 - 1 is no id (chown(2), setreuid(2)).
        Setting(
            name: name, type: .integer(0...Int(UInt32.max) - 1), defaultValue: .none, documentation: documentation,
            write: { if case .integer(let value) = $1 { $0[keyPath: path] = UInt32(exactly: value) } },
            read: { $0[keyPath: path].map { .integer(Int($0)) } ?? .none })
    }

    static func size(
        _ name: String, _ path: SettingPath<Root, Int>, _ value: Int, in range: ClosedRange<Int>,
        _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .size(range), defaultValue: .size(value), documentation: documentation,
            write: { if case .size(let value) = $1 { $0[keyPath: path] = value } },
            read: { .size($0[keyPath: path]) })
    }

    /// A number that may be absent.
    static func integer(
        _ name: String, _ path: SettingPath<Root, Int?>, in range: ClosedRange<Int>, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .integer(range), defaultValue: .none, documentation: documentation,
            write: { if case .integer(let value) = $1 { $0[keyPath: path] = value } },
            read: { $0[keyPath: path].map { .integer($0) } ?? .none })
    }

    /// A number of bytes that may be absent.
    static func size(
        _ name: String, _ path: SettingPath<Root, Int?>, in range: ClosedRange<Int>, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .size(range), defaultValue: .none, documentation: documentation,
            write: { if case .size(let value) = $1 { $0[keyPath: path] = value } },
            read: { $0[keyPath: path].map { .size($0) } ?? .none })
    }

    static func duration(
        _ name: String, _ path: SettingPath<Root, UInt64>, _ value: UInt64, in range: ClosedRange<UInt64>,
        _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .duration(range), defaultValue: .duration(value), documentation: documentation,
            write: { if case .duration(let value) = $1 { $0[keyPath: path] = value } },
            read: { .duration($0[keyPath: path]) })
    }

    static func mode(
        _ name: String, _ path: SettingPath<Root, UInt32>, _ value: UInt32, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .mode, defaultValue: .mode(value), documentation: documentation,
            write: { if case .mode(let value) = $1 { $0[keyPath: path] = value } },
            read: { .mode($0[keyPath: path]) })
    }

    static func choice<Choice: RawRepresentable<String> & CaseIterable & Sendable>(
        _ name: String, _ path: SettingPath<Root, Choice>, _ value: Choice, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .choice(Choice.allCases.map(\.rawValue)), defaultValue: .text(value.rawValue),
            documentation: documentation,
            write: { if case .text(let text) = $1, let value = Choice(rawValue: text) { $0[keyPath: path] = value } },
            read: { .text($0[keyPath: path].rawValue) })
    }

    static func text(
        _ name: String, _ path: SettingPath<Root, String>, _ value: String, _ rule: TextRule, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .text(rule), defaultValue: .text(value), documentation: documentation,
            write: { if case .text(let value) = $1 { $0[keyPath: path] = value } },
            read: { .text($0[keyPath: path]) })
    }

    static func text(
        _ name: String, _ path: SettingPath<Root, String?>, _ rule: TextRule, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .text(rule), defaultValue: .none, documentation: documentation,
            write: { if case .text(let value) = $1 { $0[keyPath: path] = value } },
            read: { $0[keyPath: path].map(SettingValue.text) ?? .none })
    }

    static func group(
        _ name: String, _ path: SettingPath<Root, Configuration.Group?>, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .text(.group), defaultValue: .none, documentation: documentation,
            write: { if case .text(let text) = $1 { $0[keyPath: path] = Configuration.Group(text) } },
            read: { $0[keyPath: path].map { .text($0.description) } ?? .none })
    }

    static func address(
        _ name: String, _ path: SettingPath<Root, Configuration.TCPAddress?>, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .text(.address), defaultValue: .none, documentation: documentation,
            write: { if case .text(let text) = $1 { $0[keyPath: path] = Configuration.TCPAddress(text) } },
            read: { $0[keyPath: path].map { .text($0.description) } ?? .none })
    }

    static func list(
        _ name: String, _ path: SettingPath<Root, [String]>, _ rule: TextRule, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .list(rule), defaultValue: .list([]), documentation: documentation,
            write: { if case .list(let values) = $1 { $0[keyPath: path] = values } },
            read: { .list($0[keyPath: path]) })
    }

    static func list(
        _ name: String, _ path: SettingPath<Root, [String]?>, _ rule: TextRule, _ documentation: String
    ) -> Self {
        Setting(
            name: name, type: .list(rule), defaultValue: .none, documentation: documentation,
            write: { if case .list(let values) = $1 { $0[keyPath: path] = values } },
            read: { $0[keyPath: path].map(SettingValue.list) ?? .none })
    }
}
