/// The header fields of a request.
public struct RequestOptions: Equatable, Sendable {
    /// Empty: the default backend.
    public var backend: String
    /// 0: none of its own; the server's default holds.
    public var timeoutMicroseconds: UInt64
    public var isReadOnly: Bool

    public init(backend: String = "", timeoutMicroseconds: UInt64 = 30_000_000, isReadOnly: Bool = false) {
        self.backend = backend
        self.timeoutMicroseconds = timeoutMicroseconds
        self.isReadOnly = isReadOnly
    }
}
