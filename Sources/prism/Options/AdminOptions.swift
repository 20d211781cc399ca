import ArgumentParser
import PrismTools
import PrismWire

/// For commands that talk to the admin socket.
struct AdminOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The admin socket. Default: PRISM_ADMIN_SOCKET, then admin.sock beside the data socket.",
            valueName: "path"))
    var adminSocket: String?

    @Option(
        help: ArgumentHelp(
            "The data socket, to find the admin socket beside it. Default: PRISM_SOCKET.", valueName: "path"))
    var socket: String?

    func socketPath() throws(ToolError) -> String {
        let locations = SocketLocations<SystemProbe>()
        if let path = locations.commandAdminSocket(option: adminSocket, dataSocketOption: socket) { return path }
        throw .noSocket(
            "admin", lookedAt: locations.defaults.map { SocketLocations<SystemProbe>.adminSocket(beside: $0) },
            option: "--admin-socket or PRISM_ADMIN_SOCKET")
    }

    func request(_ method: String, _ target: String, timeoutMilliseconds: UInt64) throws(ToolError) -> HTTPResponse {
        try HTTPClient.request(
            method, target, socket: try socketPath(), timeoutMilliseconds: timeoutMilliseconds)
    }
}

extension ToolError {
    /// An answer of the admin socket that is not a success. Its JSON says why, where it has some.
    static func admin(_ response: HTTPResponse, doing what: String) -> ToolError {
        let error = JSONValue(parsing: response.text).flatMap { $0["error"] ?? $0 }
        let message =
            error?.string ?? error?["message"]?.string ?? error?["reason"]?.string ?? response.text.trimmedLine
        let hint = error?["hint"]?.string ?? error?["remedy"]?.string ?? ""
        if response.status == 409 || response.status == 400 { return .usage("\(what): \(message)", remedy: hint) }
        let code: StatusCode =
            response.status == 503 ? .unavailable : response.status == 404 ? .unimplemented : .unknown
        return .failed(
            .init(
                code, at: .admission, outcome: response.status >= 500 ? .unknown : .notExecuted,
                "\(what): HTTP \(response.status)\(message.isEmpty ? "" : ": \(message)")", hint: hint))
    }
}

extension String {
    /// The first line, without white space around it.
    var trimmedLine: String {
        String(split(whereSeparator: \.isNewline).first ?? "")
    }
}
