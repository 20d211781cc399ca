/// Reads one HTTP/1.1 response (RFC 9112) in pieces of any size. Bounded: a head of 64 KiB, a body of 16 MiB.
public struct HTTPResponseParser {
    public static let headBytesMax = 64 << 10
    public static let bodyBytesMax = 16 << 20

    public enum ParseError: Error, Equatable, Sendable {
        case malformed(String)
        case tooLarge
        /// The connection ended before the response did.
        case truncated
    }

    private enum State {
        case head
        case counted(left: Int)
        case untilClose
        case chunkSize
        case chunkData(left: Int)
        case chunkEnd
        case trailers
        case complete
    }

    private var state = State.head
    private var line: [UInt8] = []
    private var headBytes = 0
    private var statusLineSeen = false
    private var response = HTTPResponse(status: 0, headers: [], body: [])

    public init() {}

    /// Takes bytes; answers the response when it is complete. What follows it is ignored.
    public mutating func feed(_ bytes: some Sequence<UInt8>) throws(ParseError) -> HTTPResponse? {
        for byte in bytes {
            try take(byte)
            if case .complete = state { return response }
        }
        return nil
    }

    /// The peer has closed.
    public mutating func end() throws(ParseError) -> HTTPResponse {
        switch state {
        case .complete, .untilClose: return response
        default: throw .truncated
        }
    }

    private mutating func take(_ byte: UInt8) throws(ParseError) {
        switch state {
        case .head: if let line = try lineEnded(by: byte) { try takeHeadLine(line) }
        case .counted(let left):
            try append(byte)
            state = left == 1 ? .complete : .counted(left: left - 1)
        case .untilClose: try append(byte)
        case .chunkSize: if let line = try lineEnded(by: byte) { try takeChunkSize(line) }
        case .chunkData(let left):
            try append(byte)
            state = left == 1 ? .chunkEnd : .chunkData(left: left - 1)
        case .chunkEnd:
            guard let line = try lineEnded(by: byte) else { return }
            guard line.isEmpty else { throw .malformed("a chunk is longer than it said") }
            state = .chunkSize
        case .trailers: if try lineEnded(by: byte)?.isEmpty == true { state = .complete }
        case .complete: break
        }
    }

    private mutating func takeHeadLine(_ line: String) throws(ParseError) {
        if !statusLineSeen {
            let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count >= 2, parts[0].hasPrefix("HTTP/1."), parts[1].utf8.count == 3,
                let status = Int(parts[1]), status >= 100
            else { throw .malformed("the status line") }
            response.status = status
            statusLineSeen = true
        } else if !line.isEmpty {
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex else {
                throw .malformed("a header without a colon")
            }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            response.headers.append((line[..<colon].lowercased(), String(value)))
        } else {
            try startBody()
        }
    }

    private mutating func startBody() throws(ParseError) {
        if response.status < 200 {  // An interim response: the real one follows.
            statusLineSeen = false
            response.headers = []
            return
        }
        if response.status == 204 || response.status == 304 {
            state = .complete
        } else if response.header("transfer-encoding")?.lowercased() == "chunked" {
            state = .chunkSize
        } else if let text = response.header("content-length") {
            guard let length = Int(text), length >= 0 else { throw .malformed("Content-Length") }
            guard length <= Self.bodyBytesMax else { throw .tooLarge }
            state = length == 0 ? .complete : .counted(left: length)
        } else {
            state = .untilClose
        }
    }

    private mutating func takeChunkSize(_ line: String) throws(ParseError) {
        let digits = line.prefix { $0 != ";" && $0 != " " }
        guard let size = Int(digits, radix: 16), size >= 0, digits.first?.isHexDigit == true else {
            throw .malformed("a chunk's size")
        }
        guard size <= Self.bodyBytesMax - response.body.count else { throw .tooLarge }
        state = size == 0 ? .trailers : .chunkData(left: size)
    }

    private mutating func append(_ byte: UInt8) throws(ParseError) {
        guard response.body.count < Self.bodyBytesMax else { throw .tooLarge }
        response.body.append(byte)
    }

    private mutating func lineEnded(by byte: UInt8) throws(ParseError) -> String? {
        guard byte == UInt8(ascii: "\n") else {
            line.append(byte)
            headBytes += 1
            guard line.count <= Self.headBytesMax, headBytes <= Self.bodyBytesMax else { throw .tooLarge }
            if case .head = state, headBytes > Self.headBytesMax { throw .tooLarge }
            return nil
        }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        defer { line.removeAll(keepingCapacity: true) }
        return String(decoding: line, as: UTF8.self)
    }
}
