/// Everything that is wrong, in one go, so that it can be put right in one go.
public struct ConfigurationErrors: Error, Sendable, Equatable, CustomStringConvertible {
    /// At least one, at most `reportedMax`.
    public let errors: [ConfigurationError]
    /// How many more there were.
    public let omitted: Int

    /// A file of noise must not become a report of a megabyte.
    public static let reportedMax = 100

    init(_ errors: [ConfigurationError]) {
        self.errors = Array(errors.prefix(Self.reportedMax))
        self.omitted = max(0, errors.count - Self.reportedMax)
    }

    public var description: String {
        let lines = errors.map(\.description)
        return (omitted == 0 ? lines : lines + ["and \(omitted) more"]).joined(separator: "\n")
    }
}
