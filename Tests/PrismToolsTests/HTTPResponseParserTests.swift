import PrismTools
import Testing

@Suite struct HTTPResponseParserTests {
    typealias ParseError = HTTPResponseParser.ParseError

    func parse(_ text: String, pieceBytes: Int) throws(ParseError) -> HTTPResponse? {
        var parser = HTTPResponseParser()
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            if let response = try parser.feed(rest.prefix(pieceBytes)) { return response }
            rest = rest.dropFirst(pieceBytes)
        }
        return nil
    }

    @Test(arguments: [1, 2, 7, 4096])
    func aCountedBody(pieceBytes: Int) throws {
        let response = try parse(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length:5\r\n\r\nready", pieceBytes: pieceBytes)
        #expect(response?.status == 200)
        #expect(response?.text == "ready")
        #expect(response?.header("content-type") == "text/plain")
    }

    @Test(arguments: [1, 3, 4096])
    func aChunkedBody(pieceBytes: Int) throws {
        let response = try parse(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: 1\r\n\r\n",
            pieceBytes: pieceBytes)
        #expect(response?.text == "hello!")
    }

    @Test func aBodyUpToTheEndOfTheConnection() throws {
        var parser = HTTPResponseParser()
        #expect(try parser.feed(Array("HTTP/1.0 503 Service Unavailable\r\n\r\nno".utf8)) == nil)
        let response = try parser.end()
        #expect(response.status == 503)
        #expect(response.text == "no")
    }

    @Test func aConnectionThatEndsTooEarlyIsNoAnswer() throws {
        var parser = HTTPResponseParser()
        #expect(try parser.feed(Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nrea".utf8)) == nil)
        #expect(throws: ParseError.truncated) { try parser.end() }
    }

    @Test func anInterimAnswerIsPassedOver() throws {
        let response = try parse(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", pieceBytes: 4096)
        #expect(response?.status == 204)
    }

    @Test(arguments: [
        "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 abc OK\r\n", "HTTP/1.1 200 OK\r\nbroken\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    ])
    func whatIsNotHTTPIsSaidToBeNone(_ text: String) {
        #expect {
            try parse(text, pieceBytes: 4096)
        } throws: { error in
            if case ParseError.malformed = error { true } else { false }
        }
    }

    @Test func aBodyHasALimit() {
        #expect(throws: ParseError.tooLarge) {
            try parse("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", pieceBytes: 4096)
        }
        #expect(throws: ParseError.tooLarge) {
            try parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", pieceBytes: 4096)
        }
        #expect(throws: ParseError.tooLarge) { try parse(String(repeating: "x", count: 100_000), pieceBytes: 4096) }
    }
}
