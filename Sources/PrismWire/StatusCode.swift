/// gRPC's canonical status codes, by number and name.
public enum StatusCode: UInt8, Sendable, CaseIterable {
    case ok = 0
    case cancelled = 1
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case alreadyExists = 6
    case permissionDenied = 7
    case resourceExhausted = 8
    case failedPrecondition = 9
    case aborted = 10
    case outOfRange = 11
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case dataLoss = 15
    case unauthenticated = 16

    /// The name as gRPC writes it, such as `DEADLINE_EXCEEDED`.
    public var name: String {
        switch self {
        case .ok: "OK"
        case .cancelled: "CANCELLED"
        case .unknown: "UNKNOWN"
        case .invalidArgument: "INVALID_ARGUMENT"
        case .deadlineExceeded: "DEADLINE_EXCEEDED"
        case .notFound: "NOT_FOUND"
        case .alreadyExists: "ALREADY_EXISTS"
        case .permissionDenied: "PERMISSION_DENIED"
        case .resourceExhausted: "RESOURCE_EXHAUSTED"
        case .failedPrecondition: "FAILED_PRECONDITION"
        case .aborted: "ABORTED"
        case .outOfRange: "OUT_OF_RANGE"
        case .unimplemented: "UNIMPLEMENTED"
        case .internal: "INTERNAL"
        case .unavailable: "UNAVAILABLE"
        case .dataLoss: "DATA_LOSS"
        case .unauthenticated: "UNAUTHENTICATED"
        }
    }
}

/// Where a request was when it failed; numbers as in `prism.v1.Stage`.
public enum Stage: UInt8, Sendable, CaseIterable {
    case unspecified = 0
    case decode = 1
    case admission = 2
    case queue = 3
    case connect = 4
    case execute = 5
    case stream = 6

    public var name: String {
        switch self {
        case .unspecified: "unspecified"
        case .decode: "decode"
        case .admission: "admission"
        case .queue: "queue"
        case .connect: "connect"
        case .execute: "execute"
        case .stream: "stream"
        }
    }
}

/// What is known of a failed request's effects; numbers as in `prism.v1.Outcome`.
public enum Outcome: UInt8, Sendable, CaseIterable {
    case unspecified = 0
    /// A promise: nothing of it remains. Never said of what may have had an effect.
    case notExecuted = 1
    case executed = 2
    case unknown = 3

    public var name: String {
        switch self {
        case .unspecified: "UNSPECIFIED"
        case .notExecuted: "NOT_EXECUTED"
        case .executed: "EXECUTED"
        case .unknown: "UNKNOWN"
        }
    }
}
