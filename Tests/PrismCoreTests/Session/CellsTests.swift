import Testing

@testable import PrismCore

@Suite struct CellsTests {
    @Test("cells hold what was put into them, however they grow and shrink", arguments: 0..<20 as Range<UInt64>)
    func againstAnArray(seed: UInt64) {
        var random = SplitMix(seed)
        var cells = Cells<UInt64>()
        var array: [UInt64] = []
        for _ in 0..<2_000 {
            switch random.below(8) {
            case 0..<3:
                let value = random.next()
                cells.append(value)
                array.append(value)
            case 3:
                let count = random.below(40)
                let values = (0..<count).map { _ in random.next() }
                cells.append(count) { for (index, value) in values.enumerated() { ($0 + index).initialize(to: value) } }
                array += values
            case 4:
                let last = cells.popLast()
                #expect(last == array.popLast())
            case 5 where !array.isEmpty:
                let (index, value) = (random.below(array.count), random.next())
                cells[index] = value
                array[index] = value
            case 6 where random.below(20) == 0:
                // With memory kept, and without.
                cells.removeAll(keepingUpTo: random.below(2) * 10_000)
                array.removeAll()
            default: break
            }
            #expect(cells.count == array.count && cells.isEmpty == array.isEmpty)
            #expect((cells.pointer == nil) == array.isEmpty)
        }
        for index in array.indices { #expect(cells[index] == array[index]) }
        if let pointer = cells.pointer {
            #expect(Array(UnsafeBufferPointer(start: pointer, count: cells.count)) == array)
        }
    }

    @Test("none added is nothing, and an empty one has no place")
    func nothing() {
        var cells = Cells<Int>()
        cells.append(0) { _ in }
        #expect(cells.isEmpty && cells.pointer == nil && cells.popLast() == nil)
        cells.append(1)
        #expect(cells.popLast() == 1 && cells.isEmpty && cells.pointer == nil)
    }
}
