import PrismCore
import PrismWire
import Testing

@Suite("Key bounds") struct KeyBoundsTests {
    /// The bounds of a Scan with this range, cursor and direction, as text.
    private func bounds(
        prefix: [UInt8] = [], start: [UInt8] = [], end: [UInt8] = [], after: [UInt8] = [], reverse: Bool = false
    ) -> String {
        let arena = Arena(limitBytes: 1 << 16)
        let cursor = after.withUnsafeBytes { $0.isEmpty ? nil : ScanCursor.encode(lastKey: $0, in: arena) }
        var body = Pack.data(2, Pack.data(1, prefix) + Pack.data(2, start) + Pack.data(3, end))
        if reverse { body += Pack.number(3, 1) }
        if let cursor { body += Pack.data(6, Array(cursor.bytes)) }
        let frame = Array(TestRequest(id: 1, operation: 23, body: body).frame.dropFirst(4))
        return frame.withUnsafeBytes { frame in
            guard let scan = RequestMessage(frame, in: arena)?.scan else { return "not decoded" }
            let bounds = KeyBounds(scan.range, cursor: scan.cursor, reverse: scan.reverse != 0)
            return "\(bounds.lower) \(bounds.upper.map { "\($0)" } ?? "-")"
        }
    }

    @Test("a prefix ends below the next string of its length, or nowhere")
    func prefix() {
        #expect(bounds() == "[] -")
        #expect(bounds(prefix: [1, 2]) == "[1, 2] [1, 3]")
        #expect(bounds(prefix: [1, 255, 255]) == "[1, 255, 255] [2]")
        #expect(bounds(prefix: [255, 255]) == "[255, 255] -")
    }

    @Test("a range ends where it says, and an empty end is none")
    func range() {
        #expect(bounds(start: [5], end: [7, 0]) == "[5] [7, 0]")
        #expect(bounds(start: [5]) == "[5] -")
        #expect(bounds(end: [7]) == "[] [7]")
    }

    @Test("a cursor goes on behind the last key, upwards and downwards")
    func cursor() {
        #expect(bounds(prefix: [9], after: [9, 4]) == "[9, 4, 0] [10]")
        #expect(bounds(prefix: [9], after: [9, 4], reverse: true) == "[9] [9, 4]")
    }

    @Test("a cursor of another range narrows this one and never widens it")
    func strangeCursor() {
        #expect(bounds(prefix: [9], after: [4]) == "[9] [10]")
        #expect(bounds(prefix: [9], after: [40], reverse: true) == "[9] [10]")
        #expect(bounds(prefix: [9], after: [40]) == "[40, 0] [10]")
        #expect(bounds(start: [9], after: [4], reverse: true) == "[9] [4]")
    }
}
