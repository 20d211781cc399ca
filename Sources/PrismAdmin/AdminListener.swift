internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// The admin HTTP listeners, on one thread of their own, so that probes and scrapes never share a reactor's.
public final class AdminListener: Sendable {
    /// The port that TCP is bound to; nil: not on TCP. Useful where port 0 was asked for.
    public let tcpPort: Int?

    private let group: MultiThreadedEventLoopGroup
    private let listeners: [any Channel]
    private let connections: NIOLoopBound<AdminConnections>

    /// Starts to answer. Blocks for the binding of TCP only, and for the look-up of its host.
    ///
    /// The thread inherits the caller's signal mask: block signals that something else reads before this call. SIGPIPE is
    /// ignored from here on in the whole process.
    ///
    /// - Parameters:
    ///   - unixDescriptor: a bound stream socket, listening or not; owned by the listener from here on, whatever the result.
    ///     Takeover of stale files, mode, group and removal of the file stay with the caller.
    ///   - tcpAddress: where to listen on TCP too, read only; port 0: any.
    public static func start(
        unixDescriptor: CInt?, tcpAddress: (host: String, port: Int)?, source: any AdminSource
    ) throws(AdminListenerError) -> AdminListener {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let routes = AdminRoutes(source: source)
        var listeners: [any Channel] = []
        var address = ""
        var isHandedOver = false
        do {
            let connections = try loop.submit {
                NIOLoopBound(AdminConnections(loop: loop), eventLoop: loop)
            }.wait()
            // What can fail for a reason of the user's comes first.
            if let (host, port) = tcpAddress {
                address = "\(host):\(port)"
                let bootstrap = bootstrap(loop, routes, .tcp, connections)
                    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                    .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                listeners.append(try bootstrap.bind(host: host, port: port).wait())
            }
            let tcpPort = listeners.first?.localAddress?.port
            if let unixDescriptor {
                address = "the admin socket"
                isHandedOver = true
                listeners.append(
                    try bootstrap(loop, routes, .unixSocket, connections).withBoundSocket(unixDescriptor).wait())
            }
            return AdminListener(group: group, listeners: listeners, connections: connections, tcpPort: tcpPort)
        } catch {
            try? group.syncShutdownGracefully()
            // Once NIO has had it, it may have closed it: closing twice could hit another's descriptor.
            if let unixDescriptor, !isHandedOver { _ = close(unixDescriptor) }
            throw AdminListenerError(address: address, reason: "\(error)")
        }
    }

    private init(
        group: MultiThreadedEventLoopGroup, listeners: [any Channel], connections: NIOLoopBound<AdminConnections>,
        tcpPort: Int?
    ) {
        self.group = group
        self.listeners = listeners
        self.connections = connections
        self.tcpPort = tcpPort
    }

    /// Closes the listeners and idle connections, gives answers under way `AdminLimits.stopMilliseconds`, then ends the thread.
    /// Blocks that long at most, apart from the thread's own end. Call it once, on a thread that is not the listener's.
    public func stop() {
        for listener in listeners { listener.close(promise: nil) }
        let finished = group.next().flatSubmit { [connections] in connections.value.finish() }
        try? finished.wait()
        try? group.syncShutdownGracefully()
    }

    private static func bootstrap(
        _ loop: any EventLoop, _ routes: AdminRoutes, _ transport: AdminTransport,
        _ connections: NIOLoopBound<AdminConnections>
    ) -> ServerBootstrap {
        ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: AdminLimits.backlog)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPauseHandler())
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    var limits = NIOHTTPDecoderLimitConfiguration()
                    limits.maxHeaderFieldSize = AdminLimits.requestHeadBytesMax
                    limits.maxHeaderListSize = AdminLimits.requestHeadBytesMax
                    limits.maxHeaderFieldCount = AdminLimits.requestHeadersMax
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(
                        withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
                    try pipeline.addHandler(
                        AdminHTTPHandler(routes: routes, transport: transport, connections: connections.value))
                }
            }
    }
}
