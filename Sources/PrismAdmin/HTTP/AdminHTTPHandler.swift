internal import NIOCore
internal import NIOHTTP1

/// One admin connection: a request at a time, each answered with its length, then the next or the end.
///
/// NIO's pipelining handler before it holds further requests back. Used on the loop only.
final class AdminHTTPHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        /// Between requests.
        case idle
        /// The head is there, the body not all.
        case receiving(HTTPRequestHead, bodyBytes: Int)
        case answering(HTTPRequestHead, PendingAnswer, Task<Void, Never>)
        /// The last answer is on its way, or the connection is gone.
        case closing
    }

    private let routes: AdminRoutes
    private let transport: AdminTransport
    private let connections: AdminConnections
    private var state = State.idle
    private var timer: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    init(routes: AdminRoutes, transport: AdminTransport, connections: AdminConnections) {
        self.routes = routes
        self.transport = transport
        self.connections = connections
    }

    /// Whether nothing is lost when it is closed now.
    var isIdle: Bool {
        if case .answering = state { false } else { true }
    }

    func close() {
        context?.close(promise: nil)
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        guard connections.admit(self) else { return context.close(promise: nil) }
        closeUnlessRequested(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .answering(_, let pending, let task) = state {
            pending.abandon()
            task.cancel()
        }
        state = .closing
        timer?.cancel()
        self.context = nil
        connections.remove(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Bad HTTP has had its 400 from NIO's handler; nothing else can be said on a broken connection.
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .idle):
            state = .receiving(head, bodyBytes: 0)
        case (.body(let bytes), .receiving(let head, let before)):
            let bodyBytes = before + bytes.readableBytes
            state = .receiving(head, bodyBytes: bodyBytes)
            if bodyBytes > AdminLimits.requestBodyBytesMax {
                let limit = AdminLimits.requestBodyBytesMax
                write(
                    AdminResponse(413, .text, "a request's body has at most \(limit) bytes\n"), closing: true, context)
            }
        case (.end, .receiving(let head, _)):
            begin(head, context)
        default:
            break
        }
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let loop = context.eventLoop
        let bound = NIOLoopBound(self, eventLoop: loop)
        let pending = PendingAnswer { response in loop.execute { bound.value.finish(response) } }
        let request = AdminRequest(method: head.method.rawValue, target: head.uri, transport: transport)
        let task = Task { [routes] in pending.answer(await routes.respond(to: request)) }
        state = .answering(head, pending, task)
        // Waiting for the end of lame duck takes as long as lame duck.
        guard request.query["wait"] != "true" || request.method != "POST" else { return }
        timer = loop.assumeIsolated().scheduleTask(in: .milliseconds(AdminLimits.answerMilliseconds)) {
            task.cancel()
            pending.answer(AdminResponse(503, .text, "no answer within \(AdminLimits.answerMilliseconds) ms\n"))
        }
    }

    private func finish(_ response: AdminResponse) {
        guard case .answering(let head, _, _) = state, let context else { return }
        timer?.cancel()
        // HTTP/1.0 would have to be told that the connection stays; no client of ours speaks it.
        let closing = !head.isKeepAlive || head.version != .http1_1
        if !closing {
            // Before the write: with its end, the next request of a pipelining client comes in.
            state = .idle
            connections.touch(self)
            closeUnlessRequested(context)
        }
        write(response, closing: closing, context)
    }

    private func write(_ response: AdminResponse, closing: Bool, _ context: ChannelHandlerContext) {
        var headers: HTTPHeaders = [
            "Content-Type": response.contentType.rawValue, "Content-Length": String(response.body.utf8.count),
            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
        ]
        if response.contentType == .html {
            headers.add(name: "Content-Security-Policy", value: "default-src 'none'; style-src 'unsafe-inline'")
        }
        if let allow = response.allow { headers.add(name: "Allow", value: allow) }
        if closing { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !response.omitsBody {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: response.body)))), promise: nil)
        }
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        guard closing else { return }
        state = .closing
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        written.whenComplete { _ in bound.value.close() }
        // A peer that does not read its answer.
        closeUnlessRequested(context)
    }

    /// One timer for silence, slow requests and answers that nobody reads.
    private func closeUnlessRequested(_ context: ChannelHandlerContext) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(AdminLimits.idleMilliseconds)) {
            self.close()
        }
    }
}
