/// One thing that is wrong with the configuration.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// File and line, variable, or flag.
    public let origin: Configuration.Origin
    /// The setting or key concerned, as its author wrote it; `nil` where it is about the whole file.
    public let key: String?
    /// What is wrong. Never contains a secret.
    public let message: String
    /// What to do about it.
    public let remedy: String

    public var description: String {
        let place = key.map { "\(origin): \(Printable.text($0)): " } ?? "\(origin): "
        return "\(place)\(message); \(remedy)"
    }
}
