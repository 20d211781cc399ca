import PrismCore
import PrismWire

/// What clients would say of an ending, from nothing but the answers that they got: held against the sidecar's report.
struct EndingAccount {
    private(set) var finished: UInt64 = 0
    private(set) var refused: UInt64 = 0
    private(set) var cancelled: UInt64 = 0

    /// An answer that has come out since the end began.
    mutating func count(_ answer: Answer) {
        guard answer.id != 0, !answer.isPart, !answer.isControl else { return }
        switch (answer.code, answer.stage) {
        case (.unavailable, .admission): refused += 1
        // Limits and mistakes: never in flight.
        case (_, .admission), (_, .decode): break
        case (.unavailable, _) where answer.message == Multiplexer.cutByDrain: cancelled += 1
        default: finished += 1
        }
    }

    /// Where the report says something else; nil: nowhere.
    func disagreement(with report: DrainReport) -> String? {
        for (name, own, reported) in [
            ("finished", finished, report.finished), ("refused", refused, report.refused),
            ("cancelled", cancelled, report.cancelled),
        ] where own != reported {
            return "the report says \(reported) \(name), and the clients have seen \(own)"
        }
        return nil
    }
}
