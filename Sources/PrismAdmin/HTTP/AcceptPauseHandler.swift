internal import NIOCore

/// Stops accepting for a while when no descriptor or memory is left for a connection. The listener stays readable, and NIO would try
/// again at once, for ever.
///
/// Not NIO's own AcceptBackoffHandler: that holds the next read back, and as long as nothing has been accepted there is no next
/// read, only the one that is pending (`readPending` in NIO 2.101's BaseSocketChannel).
final class AcceptPauseHandler: ChannelInboundHandler {
    typealias InboundIn = any Channel

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError else { return context.fireErrorCaught(error) }
        let listener = context.channel
        // Neither can fail but on a listener that is closed.
        try? listener.syncOptions?.setOption(.autoRead, value: false)
        context.eventLoop.scheduleTask(in: .milliseconds(AdminLimits.acceptPauseMilliseconds)) {
            try? listener.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}
