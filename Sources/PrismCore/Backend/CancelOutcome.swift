/// What a cancel reached, said by the backend at once (CONTRACT 4).
///
/// After `removed` and `stopped` the backend sends no final completion for the request any more (parts already on their way
/// are dropped by their reference). After `tooLate` it does.
public enum CancelOutcome: UInt8, Sendable {
    /// It was still queued and has been taken out: it never ran.
    case removed
    /// It was running and will have no effect: the backend is bound to undo it before it could become durable.
    case stopped
    /// It may have had, or will have, its effect: it is being committed or is done.
    case tooLate
}
