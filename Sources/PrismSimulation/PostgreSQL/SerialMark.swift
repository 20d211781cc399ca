/// A request's serial inside of what a database sees of it, and which of its executions it is, with a check: a frame whose
/// bits were flipped names nobody.
struct SerialMark: Hashable {
    var serial: Int
    /// From 0.
    var unit = 0

    static let none = SerialMark(serial: 0)

    init(serial: Int, unit: Int = 0) {
        self.serial = serial
        self.unit = unit
    }

    init(number: Int64) {
        self.init(serial: Int(number >> 32), unit: Int(number >> 24 & 0xFF))
        if number <= 0 || self.number != number { self = .none }
    }

    /// The part behind the point of what `key` gives.
    init(key: String) {
        guard let point = key.firstIndex(of: "."), let number = Int64(key[key.index(after: point)...]) else {
            self = .none
            return
        }
        self.init(number: number)
    }

    var number: Int64 {
        guard serial > 0 else { return 0 }
        let name = UInt64(serial) << 8 | UInt64(unit)
        return Int64(name << 24 | (name &* 0x9E37_79B9_7F4A_7C15) >> 40)
    }

    /// Seven keys, so that requests meet at them; the mark stands behind a point.
    var key: String { "k\((serial + unit) % 7).\(number)" }
}
