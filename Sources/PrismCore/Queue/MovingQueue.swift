/// First in, first out; elements are moved in and out, never copied. A ring that grows and keeps its memory.
public struct MovingQueue<Element>: ~Copyable {
    private var base: UnsafeMutablePointer<Element>
    /// A power of two.
    private var capacity: Int
    private var head = 0
    public private(set) var count = 0

    /// - Parameter capacity: elements for which there is room at first.
    public init(capacity: Int = 256) {
        self.capacity = 1 << max(1, Int.bitWidth - (max(2, capacity) - 1).leadingZeroBitCount)
        base = .allocate(capacity: self.capacity)
    }

    deinit {
        for index in 0..<count { (base + ((head + index) & (capacity - 1))).deinitialize(count: 1) }
        base.deallocate()
    }

    public var isEmpty: Bool { count == 0 }
    public var first: Element? { count == 0 ? nil : base[head] }

    public mutating func append(_ element: consuming Element) {
        if count == capacity { grow() }
        (base + ((head + count) & (capacity - 1))).initialize(to: element)
        count += 1
    }

    @discardableResult
    public mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let place = base + head
        count -= 1
        // From its beginning again where it can be: that memory is still in the cache.
        head = count == 0 ? 0 : (head + 1) & (capacity - 1)
        return place.move()
    }

    private mutating func grow() {
        let grown = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        let first = capacity - head
        grown.moveInitialize(from: base + head, count: first)
        (grown + first).moveInitialize(from: base, count: head)
        base.deallocate()
        base = grown
        capacity *= 2
        head = 0
    }
}
