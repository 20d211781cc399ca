/// Whose turn a request is: all requests of one client class share one flow, over however many connections they come.
public struct Flow: Hashable, BitwiseCopyable, Sendable {
    public let client: ClientIdentity
    /// Turns in a round, beside the other flows; 1 to 65,535.
    public let weight: UInt16

    public init(client: ClientIdentity, weight: Int = 1) {
        self.client = client
        self.weight = UInt16(clamping: max(1, weight))
    }

    /// What Prism does for itself.
    public static let own = Flow(client: .own)

    public static func == (first: Flow, second: Flow) -> Bool { first.client == second.client }
    public func hash(into hasher: inout Hasher) { hasher.combine(client) }
    public func _rawHashValue(seed: Int) -> Int { client._rawHashValue(seed: seed) }
}
