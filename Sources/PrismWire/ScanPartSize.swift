/// How large one part of a Scan's answer becomes.
public struct ScanPartSize {
    /// Of an entry beside its key and value, about.
    private static let entryBytes = 16
    /// Tags and lengths, version and expiry, and what stands around the entries, at the most.
    private static let entryBytesMax = 48

    private var contentBytes = 0
    private var count = 0

    public init() {}

    /// About as many as it has on the wire.
    public var bytes: Int { contentBytes + count * Self.entryBytes }

    public mutating func add(key: Int, value: Int) {
        contentBytes += key + value
        count += 1
    }

    /// Whether one more entry fits into `bytesMax`. Always in an empty part: an entry is never divided.
    public func hasRoom(key: Int, value: Int, bytesMax: Int) -> Bool {
        count == 0 || contentBytes + key + value + (count + 1) * Self.entryBytesMax <= bytesMax
    }
}
