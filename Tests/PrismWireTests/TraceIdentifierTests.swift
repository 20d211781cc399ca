import PrismWire
import Testing

@Suite struct TraceIdentifierTests {
    static let id = "4bf92f3577b34da6a3ce929d0e0e4736"

    static func read(_ text: String) -> String? {
        Array(text.utf8).withUnsafeBytes { TraceIdentifier(traceparent: $0)?.description }
    }

    @Test("the trace id of a traceparent, of this version and later ones")
    func wellFormed() {
        #expect(Self.read("00-\(Self.id)-00f067aa0ba902b7-01") == Self.id)
        #expect(Self.read("cc-\(Self.id)-00f067aa0ba902b7-01-what-will-be") == Self.id)
        let zeros = String(repeating: "0", count: 31)
        #expect(Self.read("00-\(zeros)1-00f067aa0ba902b7-01") == "\(zeros)1")
    }

    @Test("anything else has none")
    func illFormed() {
        for text in [
            "", "not a trace", Self.id, "00-\(Self.id)-00f067aa0ba902b7-0", "00-\(Self.id)-00f067aa0ba902b7-011",
            "00-\(Self.id.uppercased())-00f067aa0ba902b7-01", "00-\(Self.id.dropLast())g-00f067aa0ba902b7-01",
            "00_\(Self.id)-00f067aa0ba902b7-01", "00-\(String(repeating: "0", count: 32))-00f067aa0ba902b7-01",
        ] { #expect(Self.read(text) == nil, "\(text)") }
    }
}
