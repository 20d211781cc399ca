/// An array of plain values with one owner: what an `Array` does at every write, asking whether it is shared, falls away.
/// Its memory grows and is kept. Places are checked as an array's are.
///
/// The element must not be a private type: with one, Swift 6.3.1 makes debug builds that do not link.
struct Cells<Element: BitwiseCopyable>: ~Copyable {
    private var base: UnsafeMutablePointer<Element>?
    private var capacity = 0
    private(set) var count = 0

    init() {}

    init(repeating element: Element, count: Int) {
        append(count) { $0.initialize(repeating: element, count: count) }
    }

    deinit { base?.deallocate() }

    var isEmpty: Bool { count == 0 }

    subscript(_ index: Int) -> Element {
        get { place(index).pointee }
        _modify { yield &place(index).pointee }
    }

    /// Where the first one stands; nil: there is none. Valid until the next change.
    var pointer: UnsafePointer<Element>? { count == 0 ? nil : UnsafePointer(base) }

    @inline(__always)
    mutating func append(_ element: Element) { append(1) { $0.initialize(to: element) } }

    /// Appends so many, all of which `fill` sets.
    @inline(__always)
    mutating func append(_ added: Int, _ fill: (UnsafeMutablePointer<Element>) -> Void) {
        if capacity - count < added { grow(to: count + added) }
        guard let base else { return }
        fill(base + count)
        count += added
    }

    /// Nil: there is none.
    mutating func popLast() -> Element? {
        guard count > 0, let base else { return nil }
        count -= 1
        return base[count]
    }

    /// Memory for more than so many is given back.
    mutating func removeAll(keepingUpTo kept: Int) {
        count = 0
        guard capacity > kept else { return }
        base?.deallocate()
        base = nil
        capacity = 0
    }

    @inline(__always)
    private func place(_ index: Int) -> UnsafeMutablePointer<Element> {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "no such place")
        return base.unsafelyUnwrapped + index  // There are places.
    }

    private mutating func grow(to count: Int) {
        let grownCapacity = max(count, capacity * 2, 16)
        let grown = UnsafeMutablePointer<Element>.allocate(capacity: grownCapacity)
        if let base {
            grown.moveInitialize(from: base, count: self.count)
            base.deallocate()
        }
        base = grown
        capacity = grownCapacity
    }
}

extension Cells: @unchecked Sendable where Element: Sendable {}
