public import PrismCore

/// What the admin listener asks of the process that it describes. Called on threads of Swift's global pool, several at once.
public protocol AdminSource: Sendable {
    /// Whether the listeners are bound and every reactor accepts. Once true it stays true. Must not block.
    var isStarted: Bool { get }

    /// Names of the backends that readiness counts (`readiness.backends`); usually none.
    var readinessBackends: [String] { get }

    /// Everything there is to show, at one moment. Must never wait for a database.
    ///
    /// - Returns: nil if not every reactor answered within one second: liveness fails then.
    func snapshot() async -> StatusSnapshot?

    /// Begins the ending (CONTRACT 6). Repeating it changes nothing.
    ///
    /// - Parameter wait: return only when lame duck has ended. In native mode that is refused: Kubernetes runs the app's and the
    ///   sidecar's preStop together and would wait for both.
    /// - Returns: how it stands. When the calling task is cancelled (its client left) return soon; the ending goes on.
    func drain(wait: Bool) async -> DrainReply
}
