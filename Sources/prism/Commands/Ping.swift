import ArgumentParser
import PrismTools

struct Ping: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask the data socket for a sign of life.",
        discussion: """
            Examples:
              prism ping
              prism ping --socket /run/prism/prism.sock --timeout 250ms

            Exit codes: 0 it answered; 1 it did not; 2 usage.
            """)

    @OptionGroup var data: DataOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let path = try data.socketPath()
        let client = try Client(path: path, timeoutMilliseconds: data.timeout.milliseconds)
        let start = monotonicNanoseconds()
        try client.single(.ping(payload: []), data.request()) { _ in }
        let elapsed = monotonicNanoseconds() - start
        try output.print("\(path) answered in \(DurationText.text(nanoseconds: elapsed))") { json in
            json.field("socket", path)
            json.field("microseconds", elapsed / 1_000)
        }
    }
}
