/// A table of values at stable places, with a generation for each place: the generation is odd while the place is taken,
/// never 0, and tells a late reference from a present one. Grows in chunks; never moves a value.
struct Slab<Element: ~Copyable>: ~Copyable {
    private static var chunkSize: Int { 1_024 }

    private var chunks: [UnsafeMutablePointer<Element>] = []
    private var generations = Cells<UInt32>()
    private var free = Cells<Int32>()
    let capacityMax: Int
    private(set) var count = 0

    init(capacityMax: Int) { self.capacityMax = capacityMax }

    deinit {
        for index in 0..<generations.count where generations[index] & 1 == 1 {
            pointer(index).deinitialize(count: 1)
        }
        for chunk in chunks { chunk.deallocate() }
    }

    var isFull: Bool { count >= capacityMax }

    /// One past the highest place ever taken; for iteration with `isLive`.
    var endIndex: Int { generations.count }

    func isLive(_ index: Int) -> Bool { generations[index] & 1 == 1 }

    func isLive(_ index: Int, generation: UInt32) -> Bool {
        index < generations.count && generations[index] == generation && generation & 1 == 1
    }

    func generation(_ index: Int) -> UInt32 { generations[index] }

    /// The place taken; nil when the table is full.
    mutating func insert(_ element: consuming Element) -> Int? {
        guard let index = takePlace() else { return nil }
        pointer(index).initialize(to: element)
        return index
    }

    private mutating func takePlace() -> Int? {
        guard count < capacityMax else { return nil }
        let index: Int
        if let reused = free.popLast() {
            index = Int(reused)
        } else {
            index = generations.count
            if index == chunks.count * Self.chunkSize { chunks.append(.allocate(capacity: Self.chunkSize)) }
            generations.append(0)
        }
        generations[index] &+= 1
        count += 1
        return index
    }

    mutating func remove(_ index: Int) {
        precondition(isLive(index), "a free place was freed")
        pointer(index).deinitialize(count: 1)
        generations[index] &+= 1
        count -= 1
        free.append(Int32(index))
    }

    subscript(_ index: Int) -> Element {
        _read {
            precondition(isLive(index), "a free place was read")
            yield pointer(index).pointee
        }
        _modify {
            precondition(isLive(index), "a free place was changed")
            yield &pointer(index).pointee
        }
    }

    /// Where a value stands until it is removed: for whoever reads and changes much of it, and would look it up every time.
    @inline(__always)
    func place(_ index: Int) -> UnsafeMutablePointer<Element> {
        precondition(isLive(index), "a free place was asked for")
        return pointer(index)
    }

    private func pointer(_ index: Int) -> UnsafeMutablePointer<Element> {
        chunks[index >> 10] + (index & 1_023)
    }
}
