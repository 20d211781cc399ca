import Glibc

@testable import PrismConfiguration

func parse(_ yaml: String) throws(ConfigurationErrors) -> Configuration {
    try Configuration.parse(yaml: Array(yaml.utf8), fileName: "prism.yaml")
}

/// The errors as they are printed; empty if there are none.
func errors(_ yaml: String) -> [String] {
    do throws(ConfigurationErrors) {
        _ = try parse(yaml)
        return []
    } catch {
        return error.errors.map(\.description)
    }
}

func load(
    _ yaml: String? = nil, environment: [String: String] = [:], overrides: Overrides = Overrides()
) throws(ConfigurationErrors) -> Configuration {
    var loader = ConfigurationLoader()
    if let yaml { loader.applyFile(Array(yaml.utf8), name: "prism.yaml") }
    loader.applyEnvironment(environment)
    loader.applyOverrides(overrides)
    return try loader.finish()
}

func errors(
    _ yaml: String? = nil, environment: [String: String] = [:], overrides: Overrides = Overrides()
) -> [String] {
    do throws(ConfigurationErrors) {
        _ = try load(yaml, environment: environment, overrides: overrides)
        return []
    } catch {
        return error.errors.map(\.description)
    }
}

/// What `config show` would print, without where it came from.
func values(_ configuration: Configuration) -> [String] {
    configuration.entries.map { "\($0.name) = \($0.value.text ?? "-")" }
}

enum Repository {
    static let root: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/")
    }()

    static func text(_ path: String) throws -> String {
        String(decoding: try FileReader.read("\(root)/\(path)", bytesMax: 1 << 20), as: UTF8.self)
    }

    static func write(_ text: String, to path: String) {
        guard let file = fopen("\(root)/\(path)", "w") else { return }
        fputs(text, file)
        fclose(file)
    }
}

/// SplitMix64: the same inputs on every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
