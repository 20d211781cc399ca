import ArgumentParser
import PrismTools
import PrismWire

struct Probe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answer a Kubernetes probe over the admin socket.",
        discussion: """
            For exec probes in images without a shell:
              startupProbe:   {exec: {command: ["prism", "probe", "startup"]}}
              readinessProbe: {exec: {command: ["prism", "probe", "ready"]}}
              livenessProbe:  {exec: {command: ["prism", "probe", "live"]}}

            Exit codes: 0 yes; 1 no, or no answer; 2 usage.
            """)

    enum Question: String, ExpressibleByArgument, CaseIterable {
        case startup
        case ready
        case live

        var target: String {
            switch self {
            case .startup: "/startupz"
            case .ready: "/readyz"
            case .live: "/livez"
            }
        }
    }

    @Argument(help: "startup, ready or live.")
    var question: Question

    @Option(help: ArgumentHelp("How long to wait for the answer.", valueName: "duration"))
    var timeout = DurationArgument(nanoseconds: 5_000_000_000)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let response = try admin.request("GET", question.target, timeoutMilliseconds: timeout.milliseconds)
        guard response.status != 404 else { throw ToolError.admin(response, doing: "probe \(question.rawValue)") }
        let isYes = response.status == 200
        let answer = response.text.trimmedLine
        try output.print("\(question.rawValue): \(isYes ? "yes" : "no")\(answer.isEmpty ? "" : " (\(answer))")") {
            json in
            json.field("probe", question.rawValue)
            json.field("ok", isYes)
            json.field("answer", answer)
        }
        if !isYes { throw ExitCode(1) }
    }
}
