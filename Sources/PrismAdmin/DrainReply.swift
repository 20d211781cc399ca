public import PrismCore

/// What came of a `POST /drain`.
public enum DrainReply: Sendable, Equatable {
    /// The ending has begun, now or before; the state at the moment of the answer.
    case accepted(DrainState)
    /// It cannot be done as asked, and why: HTTP 409, exit code 2 of `prism drain`.
    case refused(reason: String)
}
