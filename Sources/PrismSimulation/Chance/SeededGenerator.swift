/// The only source of chance in a run: SplitMix64. The same seed gives the same numbers on every machine.
public struct SeededGenerator: Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0 ..< bound; 0 for a bound of 0.
    mutating func below(_ bound: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(max(bound, 1))).high)
    }

    mutating func between(_ low: UInt64, _ high: UInt64) -> UInt64 {
        low + next().multipliedFullWidth(by: high - min(low, high) + 1).high
    }

    /// Between the two on a logarithmic scale, so that 10 µs and 10 s are equally near.
    mutating func spread(_ low: UInt64, _ high: UInt64) -> UInt64 {
        var steps = 0
        while low << (steps + 1) <= high { steps += 1 }
        let base = low << below(steps + 1)
        return min(high, between(base, base * 2))
    }

    mutating func chance(_ perMille: Int) -> Bool { below(1_000) < perMille }

    mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }

    /// A generator of its own, so that one part's draws do not shift another's.
    mutating func fork() -> SeededGenerator { SeededGenerator(seed: next()) }
}
