/// Names one client connection of a multiplexer; a stale one matches nothing.
public struct ConnectionReference: Hashable, Sendable {
    public let index: Int32
    public let generation: UInt32

    public init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}
