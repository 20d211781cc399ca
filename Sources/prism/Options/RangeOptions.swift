import ArgumentParser
import PrismTools

/// Which keys: those with a prefix, or start ≤ key < end.
struct RangeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Only keys that begin with this.", valueName: "text"))
    var prefix = ""

    @Option(help: ArgumentHelp("Only keys from this one on.", valueName: "key"))
    var start = ""

    @Option(help: ArgumentHelp("Only keys before this one.", valueName: "key"))
    var end = ""

    func validate() throws {
        if !prefix.isEmpty && !(start.isEmpty && end.isEmpty) {
            throw ValidationError("--prefix excludes --start and --end")
        }
    }

    var range: Operation.KeyRange {
        Operation.KeyRange(prefix: Array(prefix.utf8), start: Array(start.utf8), end: Array(end.utf8))
    }
}
