import Glibc
import PrismConfiguration
import PrismTools

/// The configuration of this process: file, environment, flags.
enum ConfigurationLoading {
    static func load(file: String?, overrides: Overrides = Overrides()) throws -> Configuration {
        do throws(ConfigurationErrors) {
            return try configuration(file: file, overrides: overrides)
        } catch {
            throw ToolError.usage("\(error)")
        }
    }

    static func configuration(
        file: String?, overrides: Overrides = Overrides()
    ) throws(ConfigurationErrors) -> Configuration {
        try Configuration.load(file: file, environment: environment(), overrides: overrides)
    }

    private static func environment() -> [String: String] {
        var values: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let line = String(cString: text)
            if let equals = line.firstIndex(of: "=") {
                values[String(line[..<equals])] = String(line[line.index(after: equals)...])
            }
            entry += 1
        }
        return values
    }
}
