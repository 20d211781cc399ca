import ArgumentParser
import PrismTools

/// A duration on the command line, such as `250ms`; 0 needs no unit.
struct DurationArgument: ExpressibleByArgument {
    let nanoseconds: UInt64

    init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    init?(argument: String) {
        guard let nanoseconds = argument == "0" ? 0 : DurationText.nanoseconds(argument) else { return nil }
        self.nanoseconds = nanoseconds
    }

    var defaultValueDescription: String { nanoseconds == 0 ? "0" : "\(nanoseconds / 1_000_000_000)s" }

    /// Rounded up: what is not zero stays so.
    var milliseconds: UInt64 { nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 > 0 ? 1 : 0) }
    var microseconds: UInt64 { nanoseconds / 1_000 + (nanoseconds % 1_000 > 0 ? 1 : 0) }
}
