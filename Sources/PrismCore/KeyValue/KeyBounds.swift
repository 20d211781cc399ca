public import PrismWire

/// A range of keys as a database's comparison of bytes needs it: `lower` ≤ key, and key < `upper` where there is one.
public struct KeyBounds: Equatable, Sendable {
    public private(set) var lower: [UInt8] = []
    public private(set) var upper: [UInt8]?

    /// - Parameters:
    ///   - range: nil: the whole namespace.
    ///   - cursor: of a scan that goes on; empty: none.
    ///   - reverse: the direction in which the scan goes on.
    public init(
        _ range: UnsafeMutablePointer<Prism__V1__KeyRange>?, cursor: ProtobufCBinaryData = ProtobufCBinaryData(),
        reverse: Bool = false
    ) {
        if let range = range?.pointee {
            if range.prefix.isEmpty {
                lower = Array(range.start.bytes)
                upper = range.end.isEmpty ? nil : Array(range.end.bytes)
            } else {
                lower = Array(range.prefix.bytes)
                upper = Self.successor(ofPrefix: lower)
            }
        }
        guard let last = ScanCursor(cursor.bytes)?.lastKey else { return }
        // A cursor of another range, or one that a client has made up, narrows this range and never widens it.
        if reverse {
            if upper.map({ last.lexicographicallyPrecedes($0) }) ?? true { upper = Array(last) }
        } else {
            let next = Array(last) + [0]
            if lower.lexicographicallyPrecedes(next) { lower = next }
        }
    }

    /// The smallest key above all that begin with `prefix`; nil: there is none (all bytes are 0xFF).
    static func successor(ofPrefix prefix: [UInt8]) -> [UInt8]? {
        var bytes = prefix
        while let last = bytes.last {
            if last < 0xFF {
                bytes[bytes.count - 1] = last + 1
                return bytes
            }
            bytes.removeLast()
        }
        return nil
    }
}
