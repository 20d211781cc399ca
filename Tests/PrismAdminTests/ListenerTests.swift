import Foundation
import PrismCore
import Testing

@testable import PrismAdmin

/// The listener on a real port of the loopback, and a real Unix socket.
@Suite struct ListenerTests {
    /// A blocking client that sends bytes as they are.
    final class Peer: Sendable {
        private let descriptor: CInt

        init?(port: Int) {
            descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var limit = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            let connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard connected == 0 else { return nil }
        }

        deinit { close(descriptor) }

        /// Sends, and reads until the server closes or there is enough. Blocks on a thread of its own: the answers come from
        /// Swift's global pool, and on two processors two tests that block there would leave nobody to answer.
        ///
        /// - Throws: `Starved` when the pool had no thread for the answer.
        func exchange(_ text: String, until isEnough: @escaping @Sendable (String) -> Bool = { _ in false })
            async throws -> String
        {
            let answer = await withCheckedContinuation { done in
                Thread.detachNewThread {
                    done.resume(returning: self.blocking(text) { $0.contains("HTTP/1.1 503 ") || isEnough($0) })
                }
            }
            if answer.contains("HTTP/1.1 503 ") { throw Starved() }
            return answer
        }

        private func blocking(_ text: String, _ isEnough: (String) -> Bool) -> String {
            _ = text.withCString { send(descriptor, $0, strlen($0), CInt(MSG_NOSIGNAL)) }
            var answer: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            while !isEnough(String(decoding: answer, as: UTF8.self)) {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0 else { break }
                answer += buffer[..<count]
            }
            return String(decoding: answer, as: UTF8.self)
        }
    }

    /// Other tests held every thread of the pool for longer than the listener waits for an answer. No source here says 503.
    struct Starved: Error {}

    /// Starts over when the pool was starved, which says nothing of the listener.
    static func withListener(_ body: (Int, FakeSource) async throws -> Void) async throws {
        for _ in 0..<100 {
            let source = FakeSource()
            let listener = try AdminListener.start(unixDescriptor: nil, tcpAddress: ("127.0.0.1", 0), source: source)
            defer { listener.stop() }
            do { return try await body(try #require(listener.tcpPort), source) } catch is Starved { continue }
        }
        Issue.record("no thread of the pool was free in a hundred attempts")
    }

    @Test("one connection carries several requests; HEAD has the length and no body; TCP may not drain")
    func requests() async throws {
        try await Self.withListener { port, source in
            let peer = try #require(Peer(port: port))
            let first = try await peer.exchange("GET /readyz HTTP/1.1\r\nHost: p\r\n\r\n") { $0.hasSuffix("ready\n") }
            #expect(first.hasPrefix("HTTP/1.1 200 OK\r\n") && first.contains("Content-Length: 6\r\n"))
            #expect(first.contains("X-Content-Type-Options: nosniff"))
            let rest = try await peer.exchange(
                "HEAD /readyz HTTP/1.1\r\nHost: p\r\n\r\nPOST /drain HTTP/1.1\r\nHost: p\r\nContent-Length: 0\r\n\r\n"
                    + "DELETE / HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
            let statuses = rest.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("HTTP/1.1 ") }
            #expect(statuses.map { $0.dropFirst(9).prefix(3) } == ["200", "403", "405"])
            #expect(rest.contains("Allow: GET, HEAD\r\n"))
            #expect(source.drains.isEmpty)
        }
    }

    @Test("what is no HTTP, too long a head, too many headers and too large a body end their connection only")
    func badRequests() async throws {
        try await Self.withListener { port, _ in
            let bad: [(String, String, String)] = [
                ("no HTTP", "\u{16}\u{3}\u{1} hello\r\n\r\n", "400"),
                ("a head above 16 KiB", "GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 40_000))\r\n\r\n", ""),
                (
                    "65 headers",
                    "GET / HTTP/1.1\r\n" + (0..<70).map { "X\($0): 1\r\n" }.joined() + "\r\n", ""
                ),
                (
                    "a body above 4 KiB",
                    "POST /drain HTTP/1.1\r\nHost: p\r\nContent-Length: 5000\r\n\r\n\(String(repeating: "b", count: 5_000))",
                    "413"
                ),
                ("HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n", "200"),
            ]
            for (name, text, status) in bad {
                let peer = try #require(Peer(port: port))
                let answer = try await peer.exchange(text)
                #expect(!answer.hasPrefix("HTTP/1.1 200") || status == "200", "\(name): \(answer.prefix(80))")
                if !status.isEmpty { #expect(answer.contains(" \(status) "), "\(name): \(answer.prefix(80))") }
            }
            let neighbour = try #require(Peer(port: port))
            let alive = try await neighbour.exchange("GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")
            #expect(alive.hasSuffix("alive\n"))
        }
    }

    @Test("idle connections make room for a probe")
    func idleConnectionsMakeRoom() async throws {
        try await Self.withListener { port, _ in
            var idle: [Peer] = []
            for _ in 0..<AdminLimits.connectionsMax {
                let peer = try #require(Peer(port: port))
                // One answer each, so that the listener has surely admitted it.
                _ = try await peer.exchange("GET /livez HTTP/1.1\r\n\r\n") { $0.hasSuffix("alive\n") }
                idle.append(peer)
            }
            let probe = try #require(Peer(port: port))
            let alive = try await probe.exchange("GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")
            #expect(alive.hasSuffix("alive\n"))
        }
    }

    @Test("an address that is taken is an error with the address in it")
    func addressInUse() async throws {
        try await Self.withListener { port, source in
            #expect {
                try AdminListener.start(unixDescriptor: nil, tcpAddress: ("127.0.0.1", port), source: source)
            } throws: { "\($0)".contains("127.0.0.1:\(port)") }
        }
    }
}
