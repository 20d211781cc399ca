public import PrismCore

/// A backend with its beginning and its end.
public protocol ServerBackend: BackendPort {
    func snapshot() -> StatusSnapshot.Backend
    /// Closes everything in order; threads that hang are left behind after the deadline (CLOCK_MONOTONIC nanoseconds).
    func stop(deadlineNanoseconds: UInt64)
}
