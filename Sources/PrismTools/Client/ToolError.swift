internal import Glibc
public import PrismWire

/// Why a command ends without success.
public enum ToolError: Error, Equatable, Sendable {
    /// Exit code 2: asked for in a way, or in a configuration, that cannot work.
    case usage(String, remedy: String = "")
    /// Exit code 1: it was tried and failed.
    case failed(Failure)

    public var exitCode: Int32 {
        switch self {
        case .usage: 2
        case .failed: 1
        }
    }

    /// A failure below the protocol. `outcome` says what is known of the request that was to be sent.
    public static func transport(_ error: TransportError, outcome: Outcome) -> ToolError {
        let code: StatusCode
        switch error {
        case .pathTooLong: return .usage(error.message, remedy: error.remedy)
        case .timedOut: code = .deadlineExceeded
        case .cannotConnect(_, EACCES), .cannotConnect(_, EPERM): code = .permissionDenied
        default: code = .unavailable
        }
        return .failed(
            Failure(
                code, at: .connect, outcome: outcome, error.message,
                isRetryable: outcome == .notExecuted && code != .permissionDenied, hint: error.remedy))
    }
}
