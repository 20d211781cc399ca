/// Whether a statement has always returned so little that its rows may be gathered before they are told. Pure.
///
/// That costs libpq and Prism less, but what is gathered has no bound but that of `readsMax`, at which the connection is given up.
/// So it takes a row of short answers, and after each doubt a longer one.
struct Shortness {
    /// An answer with more bytes is not short.
    static let bytesMax = 4 << 10
    /// Reads from the connection that gather one answer, 16 KiB each at first: far more than a short one takes.
    static let readsMax: UInt16 = 8
    static let runsRequiredMin: UInt16 = 8
    static let runsRequiredMax: UInt16 = 4_096

    private var runs: UInt16 = 0
    private var runsRequired = runsRequiredMin

    var isShort: Bool { runs >= runsRequired }

    mutating func answered(bytes: Int) {
        if bytes > Self.bytesMax { runs = 0 } else if runs < runsRequired { runs += 1 }
    }

    mutating func isInDoubt() {
        guard isShort else { return }
        runs = 0
        runsRequired = min(runsRequired * 2, Self.runsRequiredMax)
    }
}
