internal import PrismWire

/// A blocking HTTP/1.1 client over a Unix socket, one connection a request: for the admin socket.
public enum HTTPClient {
    /// - Parameters:
    ///   - method: `GET` or `POST`, without a body.
    ///   - timeoutMilliseconds: for connecting, sending and the whole answer.
    /// - Throws: a failure below HTTP, or an answer that is none. A status such as 503 is an answer.
    public static func request(
        _ method: String, _ target: String, socket path: String, timeoutMilliseconds: UInt64
    ) throws(ToolError) -> HTTPResponse {
        let deadline = deadline(inMilliseconds: timeoutMilliseconds)
        let stream: UnixStream
        do {
            stream = try UnixStream(connectingTo: path, deadline: deadline)
        } catch {
            throw .transport(error, outcome: .notExecuted)
        }
        return try exchange(method, target, over: stream, deadline: deadline)
    }

    static func exchange(
        _ method: String, _ target: String, over stream: borrowing UnixStream, deadline: UInt64
    ) throws(ToolError) -> HTTPResponse {
        let length = method == "GET" ? "" : "Content-Length: 0\r\n"
        let head =
            "\(method) \(target) HTTP/1.1\r\nHost: prism\r\nAccept: application/json, */*\r\n\(length)Connection: close\r\n\r\n"
        var parser = HTTPResponseParser()
        do throws(TransportError) {
            try stream.send(Array(head.utf8), deadline: deadline)
        } catch .closed {
            // The answer may already stand in the socket.
        } catch {
            throw .transport(error, outcome: .unknown)
        }
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count: Int
            do throws(TransportError) {
                count = try stream.receive(into: &buffer, deadline: deadline)
            } catch .closed {
                do throws(HTTPResponseParser.ParseError) { return try parser.end() } catch { throw notHTTP(error) }
            } catch {
                throw .transport(error, outcome: .unknown)
            }
            do throws(HTTPResponseParser.ParseError) {
                if let response = try parser.feed(buffer[..<count]) { return response }
            } catch {
                throw notHTTP(error)
            }
        }
    }

    private static func notHTTP(_ error: HTTPResponseParser.ParseError) -> ToolError {
        let what =
            switch error {
            case .malformed(let part): "not HTTP: \(part)"
            case .tooLarge: "an answer above \(HTTPResponseParser.bodyBytesMax) bytes"
            case .truncated: "only a part of its answer before it closed"
            }
        return .failed(
            Failure(
                .internal, at: .decode, outcome: .unknown, "the admin socket sent \(what)",
                hint: "is that the admin socket of a Prism sidecar?"))
    }
}
