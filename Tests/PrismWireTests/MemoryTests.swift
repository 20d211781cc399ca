import PrismWire
import Testing

@Suite struct MemoryTests {
    @Test("an arena hands out aligned memory up to its limit, then nil, and everything again after a reset")
    func arenaLimit() {
        let arena = Arena(limitBytes: 1_000, firstBlockBytes: 64)
        for _ in 0..<3 {
            var used = 0
            for size in [1, 15, 16, 17, 100, 300] {
                let memory = arena.allocate(UInt8.self, count: size)
                #expect(memory.map { UInt(bitPattern: $0) % 16 } == 0)
                memory?.update(repeating: 0xAA, count: size)
                used += size
                #expect(arena.usedBytes == used)
            }
            #expect(arena.allocate(UInt8.self, count: 1_000 - used + 1) == nil)
            #expect(arena.usedBytes == used, "what was refused counts nothing")
            #expect(arena.allocate(UInt8.self, count: 1_000 - used) != nil)
            #expect(arena.allocate(UInt8.self) == nil)
            arena.reset()
            #expect(arena.usedBytes == 0)
        }
    }

    @Test("sizes that overflow are refused, not wrapped")
    func arenaOverflow() {
        let arena = Arena(limitBytes: .max)
        #expect(arena.allocate(UInt64.self, count: .max) == nil)
        #expect(arena.allocate(UInt64.self, count: -1) == nil)
        #expect(arena.allocate(UInt8.self, count: .max / 2) == nil, "more than any machine has")
    }

    @Test("allocations do not overlap", arguments: 0..<20 as Range<UInt64>)
    func arenaDisjoint(seed: UInt64) {
        var random = SplitMix(seed)
        let arena = Arena(limitBytes: 1 << 20, firstBlockBytes: 256)
        for _ in 0..<3 {
            var made: [(UnsafeMutablePointer<UInt8>, Int, UInt8)] = []
            for number in 0..<100 {
                let size = random.below(400)
                guard let memory = arena.allocate(UInt8.self, count: size) else { continue }
                memory.update(repeating: UInt8(number), count: size)
                made.append((memory, size, UInt8(number)))
            }
            for (memory, size, mark) in made { #expect((0..<size).allSatisfy { memory[$0] == mark }) }
            arena.reset()
        }
    }

    @Test("copies are equal and of their own; a copy past the limit is nil")
    func arenaCopies() {
        let arena = Arena(limitBytes: 100)
        #expect(arena.copy("grüß")?.string == "grüß")
        #expect(arena.copy("")?.len == 0)
        #expect(arena.copy(String(repeating: "x", count: 200)) == nil)
    }

    @Test("every request of the vectors decodes within its limit and fails cleanly one byte below what it needs")
    func decodingNeedsWhatItNeeds() {
        for vector in Vector.all("requests") {
            vector.bytes.withUnsafeBytes { bytes in
                guard case .frame(let length) = Frame.scan(bytes, bytesMax: 4 << 20) else { return }
                let body = UnsafeRawBufferPointer(rebasing: bytes[4..<4 + length])
                let probe = Arena(limitBytes: 1 << 20)
                #expect(RequestMessage(body, in: probe) != nil)
                let needed = probe.usedBytes
                #expect(RequestMessage(body, in: Arena(limitBytes: needed)) != nil, "\(vector.name)")
                for limit in stride(from: 0, to: needed, by: 7) {
                    #expect(RequestMessage(body, in: Arena(limitBytes: limit)) == nil, "\(vector.name) at \(limit)")
                }
            }
        }
    }

    @Test("a queue of bytes is a plain array under random operations", arguments: 0..<40 as Range<UInt64>)
    func byteQueue(seed: UInt64) {
        var random = SplitMix(seed)
        var queue = ByteQueue()
        var model: [UInt8] = []
        for _ in 0..<500 {
            switch random.below(7) {
            case 0, 1:
                let bytes = random.bytes(random.below(700))
                bytes.withUnsafeBytes { queue.append($0) }
                model += bytes
            case 2:
                queue.append(byte: 7)
                model.append(7)
            case 3:
                let (reserved, written) = (random.below(100) + 10, random.below(10))
                queue.append(upTo: reserved) { target in
                    for index in 0..<written {
                        target.storeBytes(of: UInt8(index), toByteOffset: index, as: UInt8.self)
                    }
                    return written
                }
                model += (0..<written).map(UInt8.init)
            case 4:
                guard model.count >= 4 else { continue }
                let offset = random.below(model.count - 3)
                queue.overwrite(at: offset, bigEndian: 0x0102_0304)
                model.replaceSubrange(offset..<offset + 4, with: [1, 2, 3, 4])
            case 5:
                let count = random.below(model.count + 1)
                queue.consume(count)
                model.removeFirst(count)
            default:
                guard random.below(20) == 0 else { continue }
                if random.below(2) == 0 { queue.removeAll() } else { queue.removeAll(keepingUpTo: 1 << 12) }
                model = []
            }
            let (count, isEmpty, content) = (queue.count, queue.isEmpty, Array(queue.bytes))
            #expect(count == model.count && isEmpty == model.isEmpty)
            #expect(content == model)
        }
    }
}
