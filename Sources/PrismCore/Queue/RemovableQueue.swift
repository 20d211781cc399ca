/// First in, first out, with removal from anywhere by identity in O(1): what waits can be cancelled without leaving a tombstone.
///
/// A doubly linked list over a slot array that grows to the most elements ever waiting and is reused.
public struct RemovableQueue<ID: Hashable & Sendable, Element: Sendable>: Sendable {
    private struct Slot: Sendable {
        var id: ID?
        var element: Element?
        var previous: Int
        var next: Int
    }

    private static var none: Int { -1 }

    private var slots: [Slot] = []
    private var slotByID: [ID: Int] = [:]
    private var freeHead = -1
    private var head = -1
    private var tail = -1

    public init() {}

    public var count: Int { slotByID.count }
    public var isEmpty: Bool { slotByID.isEmpty }

    public var first: Element? { head == Self.none ? nil : slots[head].element }
    public var firstID: ID? { head == Self.none ? nil : slots[head].id }

    public func contains(_ id: ID) -> Bool { slotByID[id] != nil }

    /// Puts an element at the end. False: the identity is waiting already, and nothing was changed.
    @discardableResult
    public mutating func append(_ element: Element, id: ID) -> Bool {
        guard slotByID[id] == nil else { return false }
        let slot = Slot(id: id, element: element, previous: tail, next: Self.none)
        let index: Int
        if freeHead == Self.none {
            index = slots.count
            slots.append(slot)
        } else {
            index = freeHead
            freeHead = slots[index].next
            slots[index] = slot
        }
        if tail == Self.none { head = index } else { slots[tail].next = index }
        tail = index
        slotByID[id] = index
        return true
    }

    /// Takes the element at the front.
    public mutating func popFirst() -> Element? {
        guard head != Self.none, let id = slots[head].id else { return nil }
        return remove(id)
    }

    /// Takes the element with this identity, wherever it stands.
    @discardableResult
    public mutating func remove(_ id: ID) -> Element? {
        guard let index = slotByID.removeValue(forKey: id) else { return nil }
        let slot = slots[index]
        if slot.previous == Self.none { head = slot.next } else { slots[slot.previous].next = slot.next }
        if slot.next == Self.none { tail = slot.previous } else { slots[slot.next].previous = slot.previous }
        slots[index] = Slot(id: nil, element: nil, previous: Self.none, next: freeHead)
        freeHead = index
        return slot.element
    }

    /// Takes everything, in order.
    public mutating func removeAll() -> [Element] {
        var all: [Element] = []
        all.reserveCapacity(count)
        while let element = popFirst() { all.append(element) }
        return all
    }
}
