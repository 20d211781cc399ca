/// Why an admin listener could not start.
public struct AdminListenerError: Error, Sendable, CustomStringConvertible {
    /// What was to be listened on: `the admin socket`, or `host:port`.
    public var address: String
    public var reason: String

    public var description: String { "cannot listen on \(address): \(reason)" }
}
