import ArgumentParser
import Glibc
import PrismTools
import PrismWire

struct Wait: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Wait until the data socket answers.",
        discussion: """
            For start-up scripts: returns as soon as a request is answered.

            Examples:
              prism wait --timeout 10s && exec my-app

            Exit codes: 0 it answers; 1 it did not within the time; 2 usage.
            """)

    private static let pauseMicrosecondsMax: UInt32 = 100_000

    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let start = monotonicNanoseconds()
        let deadline = deadline(inMilliseconds: data.timeout.milliseconds)
        var pauseMicroseconds: UInt32 = 5_000
        while true {
            do throws(ToolError) {
                let path = try data.socketPath()
                try attempt(path, deadline: deadline)
                let elapsed = monotonicNanoseconds() - start
                return try output.print("\(path) answers after \(DurationText.text(nanoseconds: elapsed))") { json in
                    json.field("socket", path)
                    json.field("milliseconds", elapsed / 1_000_000)
                }
            } catch {
                guard case .failed(let failure) = error, failure.code != .permissionDenied else { throw error }
                let now = monotonicNanoseconds()
                guard now < deadline else {
                    var last = failure
                    last.message = "nobody answered within the time given; the last attempt: \(failure.message)"
                    throw ToolError.failed(last)
                }
                usleep(min(pauseMicroseconds, UInt32(clamping: (deadline - now) / 1_000 + 1)))
                pauseMicroseconds = min(pauseMicroseconds * 2, Self.pauseMicrosecondsMax)
            }
        }
    }

    private func attempt(_ path: String, deadline: UInt64) throws(ToolError) {
        let now = monotonicNanoseconds()
        let leftMicroseconds = deadline > now ? (deadline - now) / 1_000 + 1 : 1
        let client = try Client(path: path, timeoutMilliseconds: leftMicroseconds / 1_000 + 1)
        var request = data.request()
        request.timeoutMicroseconds = leftMicroseconds
        try client.single(.ping(payload: []), request) { _ in }
    }
}
