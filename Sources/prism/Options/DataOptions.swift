import ArgumentParser
import PrismTools
import PrismWire

/// For commands that send requests to the data socket.
struct DataOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The data socket. Default: PRISM_SOCKET, then the first of the usual places that exists.",
            valueName: "path"))
    var socket: String?

    @Option(help: ArgumentHelp("The backend that answers. Default: the sidecar's default.", valueName: "name"))
    var backend = ""

    @Option(help: ArgumentHelp("How long a request may take, such as 250ms or 5s.", valueName: "duration"))
    var timeout = DurationArgument(nanoseconds: 30_000_000_000)

    func validate() throws {
        if timeout.nanoseconds == 0 { throw ValidationError("--timeout must be longer than 0") }
    }

    func request(isReadOnly: Bool = false) -> RequestOptions {
        RequestOptions(backend: backend, timeoutMicroseconds: timeout.microseconds, isReadOnly: isReadOnly)
    }

    func socketPath() throws(ToolError) -> String {
        let locations = SocketLocations<SystemProbe>()
        if let path = locations.commandDataSocket(option: socket) { return path }
        throw .noSocket("data", lookedAt: locations.defaults, option: "--socket or PRISM_SOCKET")
    }

    func connect() throws(ToolError) -> Client {
        try Client(path: try socketPath(), timeoutMilliseconds: timeout.milliseconds)
    }
}

extension ToolError {
    static func noSocket(_ which: String, lookedAt paths: [String], option: String) -> ToolError {
        .failed(
            .init(
                .unavailable, at: .connect, outcome: .notExecuted,
                "there is no \(which) socket; looked for \(paths.joined(separator: ", "))", isRetryable: true,
                hint: "start `prism serve`, or name the socket with \(option)"))
    }
}
