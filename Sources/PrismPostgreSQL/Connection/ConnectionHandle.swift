internal import CPostgreSQL

/// A connection on its way from the thread that made it to the reactor that owns it from then on.
final class ConnectionHandle: @unchecked Sendable {
    /// One thread at a time.
    let pointer: OpaquePointer
    let cancel: CancelHandle

    /// Takes over a connection that PQconnectdbParams has made; nil: out of memory.
    /// - Parameter target: nil: only the protocol can cancel it.
    init?(_ pointer: OpaquePointer, target: CancelTarget? = nil) {
        guard let cancel = PQgetCancel(pointer) else {
            PQfinish(pointer)
            return nil
        }
        self.pointer = pointer
        self.cancel = CancelHandle(cancel, target)
    }

    /// Takes leave of the server. Does not block once the connection is non-blocking.
    deinit { PQfinish(pointer) }
}

/// What is needed to cancel; outlives its connection while a cancel is under way.
final class CancelHandle: @unchecked Sendable {
    /// Only read after its making.
    private let pointer: OpaquePointer
    /// Nil: only the protocol can cancel it.
    let target: CancelTarget?

    init(_ pointer: OpaquePointer, _ target: CancelTarget?) {
        self.pointer = pointer
        self.target = target
    }

    deinit { PQfreeCancel(pointer) }

    /// Opens a connection of its own and blocks until the server has taken the request, without a limit of time.
    /// - Returns: libpq's message if it failed.
    func send() -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            buffer.initialize(repeating: 0)
            guard let base = buffer.baseAddress, PQcancel(pointer, base, Int32(buffer.count)) == 0 else { return nil }
            return String(cString: base)
        }
    }
}
