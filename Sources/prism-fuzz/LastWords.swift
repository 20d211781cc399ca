internal import Glibc

/// Says which seed was running when the process traps, crashes or hangs. What a signal handler may do is little: the line is
/// made before each run, and the handler only writes it.
enum LastWords {
    private static let capacity = 256
    nonisolated(unsafe) private static let line = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    nonisolated(unsafe) private static var count = 0

    static func install() {
        for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM] {
            signal(number) { number in
                _ = write(2, LastWords.line, LastWords.count)
                signal(number, SIG_DFL)
                // A hang has no state worth a core; a crash goes on to be one.
                if number == SIGALRM { _exit(1) }
                raise(number)
            }
        }
    }

    static func prepare(seed: UInt64) {
        let text = "\nthe run of seed \(seed) crashed or hung; reproduce with: make fuzz SEED=\(seed)\n"
        count = 0
        for byte in text.utf8.prefix(capacity) {
            line[count] = byte
            count += 1
        }
    }
}
