public import PrismWire

/// A blocking client: one connection, one request at a time. Belongs to one thread.
///
/// Every wait ends: at the request's timeout the sidecar answers, and `graceMilliseconds` later this client gives up.
public final class Client {
    public typealias Answer = UnsafePointer<Prism__V1__Response>

    /// How much longer than a request's own timeout its answer is waited for.
    public static let graceMilliseconds: UInt64 = 2_000
    private static let receiveBytes = 64 << 10

    private let stream: UnixStream
    private let arena = Arena(limitBytes: 1 << 30)
    private var incoming = ByteQueue()
    private var lastID: UInt64 = 0

    /// - Throws: nobody listens there, or the path cannot be used.
    public init(path: String, timeoutMilliseconds: UInt64) throws(ToolError) {
        do {
            stream = try UnixStream(connectingTo: path, deadline: deadline(inMilliseconds: timeoutMilliseconds))
        } catch {
            throw .transport(error, outcome: .notExecuted)
        }
    }

    /// Takes over a connected descriptor.
    public init(descriptor: Int32) {
        stream = UnixStream(descriptor: descriptor)
    }

    /// Sends one request and gives every part of its answer, the final one included, to `onPart`; each is valid during that
    /// call only. After an error that `onPart` throws the connection must not be used any more.
    ///
    /// - Throws: the failure that the sidecar answered, or one that says what is known when it did not answer.
    public func call(
        _ operation: Operation, _ options: RequestOptions = RequestOptions(),
        onPart: (Answer) throws(ToolError) -> Void
    ) throws(ToolError) {
        lastID += 1
        arena.reset()
        var frame = ByteQueue()
        guard RequestEncoder(arena: arena).append(operation, id: lastID, options, to: &frame) else {
            throw .usage("the request is larger than a frame can be (\(Frame.bytesMaxCeiling) bytes)")
        }
        let deadline = deadline(inMilliseconds: options.timeoutMicroseconds / 1_000 + Self.graceMilliseconds)
        var isSent = false
        do throws(TransportError) {
            try stream.send(frame.bytes, deadline: deadline)
            isSent = true
        } catch .closed {
            // The reason may already stand in the socket: read it.
        } catch {
            throw .transport(error, outcome: .unknown)
        }
        frame.removeAll()
        while true {
            do throws(TransportError) {
                try receiveFrame(deadline: deadline)
            } catch {
                throw .transport(error, outcome: isSent ? .unknown : .notExecuted)
            }
            if try take(onPart) { return }
        }
    }

    /// Sends one request and returns what `read` makes of its only answer.
    public func single<Result>(
        _ operation: Operation, _ options: RequestOptions = RequestOptions(), read: (Answer) -> Result
    ) throws(ToolError) -> Result {
        var result: Result?
        try call(operation, options) { answer in result = read(answer) }
        guard let result else { throw Self.protocolError("an answer without a final part") }
        return result
    }

    /// Handles the frame at the front of `incoming`. True: it was the final answer.
    private func take(_ onPart: (Answer) throws(ToolError) -> Void) throws(ToolError) -> Bool {
        let length: Int
        switch Frame.scan(incoming.bytes, bytesMax: Frame.bytesMaxCeiling) {
        case .frame(let bytes): length = bytes
        case .incomplete: return false
        case .invalid(let bytes): throw Self.protocolError("a frame of \(bytes) bytes")
        }
        arena.reset()
        let bytes = UnsafeRawBufferPointer(rebasing: incoming.bytes[Frame.headerBytes..<(Frame.headerBytes + length)])
        guard
            let response = prism__v1__response__unpack(
                arena.allocator, length, bytes.bindMemory(to: UInt8.self).baseAddress)
        else { throw Self.protocolError("a frame that does not decode") }
        incoming.consume(Frame.headerBytes + length)  // The decoded message holds copies.

        let isOK = response.pointee.status == PRISM__V1__CODE__OK
        if response.pointee.id == 0 {
            if isOK { return false }  // A Notice.
            throw .failed(Failure(decoding: UnsafePointer(response)))
        }
        guard response.pointee.id == lastID else {
            throw Self.protocolError("an answer to request \(response.pointee.id), which was not asked")
        }
        guard isOK else { throw .failed(Failure(decoding: UnsafePointer(response))) }
        try onPart(UnsafePointer(response))
        return response.pointee.more == 0
    }

    private func receiveFrame(deadline: UInt64) throws(TransportError) {
        while true {
            // A frame or a broken header: `take` will say.
            guard case .incomplete(let missing) = Frame.scan(incoming.bytes, bytesMax: Frame.bytesMaxCeiling) else {
                return
            }
            var failure: TransportError?
            let want = max(Self.receiveBytes, min(missing, 1 << 20))
            incoming.append(upTo: want) { target in
                do throws(TransportError) {
                    return try stream.receive(
                        into: UnsafeMutableRawBufferPointer(start: target, count: want), deadline: deadline)
                } catch {
                    failure = error
                    return 0
                }
            }
            if let failure { throw failure }
        }
    }

    private static func protocolError(_ what: String) -> ToolError {
        .failed(
            Failure(
                .internal, at: .decode, outcome: .unknown, "the peer sent \(what)",
                hint: "is that the socket of a Prism sidecar of this version?"))
    }
}
