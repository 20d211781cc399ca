import Foundation
import Testing

@testable import PrismFuzzing

@Suite struct FuzzRunTests {
    static let corpus: [[UInt8]] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Vectors").path
        let names = (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []).sorted()
        return names.filter { $0.hasSuffix(".bin") }
            .compactMap { FileManager.default.contents(atPath: "\(folder)/\($0)").map { Array($0) } }
    }()

    @Test("mutated frames break nothing", arguments: 0..<10 as Range<UInt64>)
    func runs(block: UInt64) {
        #expect(Self.corpus.count > 100)
        for seed in block * 30 + 1...block * 30 + 30 {
            var run = FuzzRun(seed: seed, corpus: Self.corpus)
            #expect(run.run() == [], "seed \(seed)")
        }
    }

    @Test("a seed always makes the same input, and different seeds different ones")
    func reproducible() {
        let mutator = Mutator(corpus: Self.corpus)
        func inputs(_ seed: UInt64) -> [[UInt8]] {
            var random = SeededGenerator(seed: seed)
            return (0..<50).map { _ in mutator.input(&random) }
        }
        #expect(inputs(7) == inputs(7))
        #expect(inputs(7) != inputs(8))
    }

    @Test("what reads the answers notices a broken one")
    func judges() {
        func read(_ bodies: [UInt8]...) -> String? {
            var connection = FuzzedConnection(reference: .init(index: 0, generation: 1), pid: 1)
            for body in bodies {
                let problem = Mutator.framed(body).withUnsafeBytes { connection.read($0, frameBytesMax: 100) }
                if let problem { return problem }
            }
            return nil
        }
        #expect(read([8, 7]) == nil)
        #expect(read([0xFF]) != nil, "not decodable")
        #expect(read([8, 7, 16, 3]) != nil, "a status without failure")
        #expect(read([0x1A, 0]) != nil, "id 0, OK, no Notice")
        let last: [UInt8] = [16, 3, 0x2A, 7, 8, 1, 16, 1, 0x3A, 1, 0x78]
        #expect(read(last) == nil)
        #expect(read(last, [8, 7]) != nil, "a frame behind the last one")
        #expect(read(Array(repeating: 0, count: 101)) != nil, "above the limit")
    }
}
