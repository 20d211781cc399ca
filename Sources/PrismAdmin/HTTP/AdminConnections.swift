internal import NIOCore

/// The open connections of all admin listeners. Used on their one loop only.
final class AdminConnections {
    private var open: [AdminHTTPHandler] = []
    private var whenEmpty: EventLoopPromise<Void>?
    private let loop: any EventLoop

    init(loop: any EventLoop) { self.loop = loop }

    /// Whether there is room, made if need be by closing the connection that has been idle longest.
    func admit(_ connection: AdminHTTPHandler) -> Bool {
        loop.preconditionInEventLoop()
        guard whenEmpty == nil else { return false }
        if open.count >= AdminLimits.connectionsMax {
            // In the order of their last activity: see `touch`.
            guard let idle = open.first(where: \.isIdle) else { return false }
            idle.close()
            remove(idle)
        }
        open.append(connection)
        return true
    }

    /// It has just become idle: last to make room.
    func touch(_ connection: AdminHTTPHandler) {
        guard let index = open.firstIndex(where: { $0 === connection }) else { return }
        open.append(open.remove(at: index))
    }

    func remove(_ connection: AdminHTTPHandler) {
        open.removeAll { $0 === connection }
        if open.isEmpty { whenEmpty?.succeed() }
    }

    /// Admits nobody from now on and closes who is idle.
    ///
    /// - Returns: done when all are gone, at the latest after `AdminLimits.stopMilliseconds`.
    func finish() -> EventLoopFuture<Void> {
        loop.preconditionInEventLoop()
        let promise = whenEmpty ?? loop.makePromise(of: Void.self)
        whenEmpty = promise
        for connection in open where connection.isIdle { connection.close() }
        if open.isEmpty { promise.succeed() }
        loop.scheduleTask(in: .milliseconds(AdminLimits.stopMilliseconds)) { promise.succeed() }
        return promise.futureResult
    }
}
