/// A request's serial inside of what a database sees of it, with a check: a frame whose bits were flipped names nobody.
enum SerialMark {
    static func encode(_ serial: Int) -> Int64 { serial == 0 ? 0 : Int64(serial) << 24 | Int64(check(serial)) }

    /// 0: it is none.
    static func decode(_ mark: Int64) -> Int {
        guard mark > 0 else { return 0 }
        let serial = Int(mark >> 24)
        return Int64(check(serial)) == mark & 0xFF_FFFF ? serial : 0
    }

    /// Seven keys, so that requests meet at them; the mark stands behind a point.
    static func key(_ serial: Int) -> String { "k\(serial % 7).\(encode(serial))" }

    static func decode(key: String) -> Int {
        guard let point = key.firstIndex(of: "."), let mark = Int64(key[key.index(after: point)...]) else { return 0 }
        return decode(mark)
    }

    private static func check(_ serial: Int) -> UInt64 { (UInt64(serial) &* 0x9E37_79B9_7F4A_7C15) >> 40 }
}
