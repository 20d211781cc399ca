import Glibc
import Testing

@testable import PrismReactor

@Suite struct UnixSocketTests {
    /// A listener on a fresh path, removed afterwards.
    private func withListener<Result>(
        backlog: CInt = 8, _ body: (_ listener: CInt, _ path: String) throws -> Result
    ) throws -> Result {
        let path = "/tmp/prism-test-\(getpid())-\(UInt64.random(in: 0 ... .max)).sock"
        let listener = try UnixSocket.make()
        defer {
            UnixSocket.close(listener)
            unlink(path)
        }
        try UnixSocket.bind(listener, path: path)
        try UnixSocket.listen(listener, backlog: backlog)
        return try body(listener, path)
    }

    private func accepted(_ listener: CInt) throws -> CInt {
        guard case .accepted(let descriptor) = UnixSocket.accept(listener) else {
            throw SystemCallError(call: "accept4", code: EAGAIN)
        }
        return descriptor
    }

    @Test func acceptedConnectionsCarryBytesBothWays() throws {
        try withListener { listener, path in
            #expect(UnixSocket.accept(listener) == .wouldBlock)
            let client = try UnixSocket.connect(path: path, blocking: false)
            let server = try accepted(listener)
            defer { for descriptor in [client, server] { UnixSocket.close(descriptor) } }

            var buffer = [UInt8](repeating: 0, count: 16)
            #expect(buffer.withUnsafeMutableBytes { UnixSocket.read(server, into: $0) } == .wouldBlock)
            #expect(Array("ping".utf8).withUnsafeBytes { UnixSocket.write(client, from: $0) } == .bytes(4))
            #expect(buffer.withUnsafeMutableBytes { UnixSocket.read(server, into: $0) } == .bytes(4))
            // Half-close: the end of the client's sending side does not end the server's.
            UnixSocket.shutdown(client, .write)
            #expect(buffer.withUnsafeMutableBytes { UnixSocket.read(server, into: $0) } == .closed)
            #expect(Array("pong".utf8).withUnsafeBytes { UnixSocket.write(server, from: $0) } == .bytes(4))
            #expect(buffer.withUnsafeMutableBytes { UnixSocket.read(client, into: $0) } == .bytes(4))
            #expect(String(decoding: buffer[..<4], as: UTF8.self) == "pong")
        }
    }

    @Test func writingToALeftPeerIsClosedAndRaisesNoSignal() throws {
        let (near, far) = try UnixSocket.makePair()
        UnixSocket.close(far)
        #expect([1].withUnsafeBytes { UnixSocket.write(near, from: $0) } == .closed)
        UnixSocket.close(near)
    }

    @Test func aPeerThatDoesNotReadMakesWritesBlock() throws {
        let (near, far) = try UnixSocket.makePair()
        let chunk = [UInt8](repeating: 0, count: 1 << 20)
        var result = TransferResult.bytes(0)
        while case .bytes = result { result = chunk.withUnsafeBytes { UnixSocket.write(near, from: $0) } }
        #expect(result == .wouldBlock)
        for descriptor in [near, far] { UnixSocket.close(descriptor) }
    }

    @Test func anUnusableDescriptorIsAFailureWithItsNumber() {
        var byte: UInt8 = 0
        #expect(withUnsafeMutableBytes(of: &byte) { UnixSocket.read(-1, into: $0) } == .failed(EBADF))
        #expect(withUnsafeBytes(of: byte) { UnixSocket.write(-1, from: $0) } == .failed(EBADF))
        #expect(UnixSocket.accept(-1) == .failed(SystemCallError(call: "accept4", code: EBADF)))
    }

    @Test func peerCredentialsAreTheKernels() throws {
        try withListener { listener, path in
            let client = try UnixSocket.connect(path: path, blocking: true)
            let server = try accepted(listener)
            defer { for descriptor in [client, server] { UnixSocket.close(descriptor) } }
            let expected = PeerCredentials(
                processIdentifier: getpid(), userIdentifier: geteuid(), groupIdentifier: getegid())
            #expect(try UnixSocket.peerCredentials(server) == expected)
            #expect(try UnixSocket.peerCredentials(client) == expected)
        }
    }

    @Test func aTooLongPathSaysItsLengthAndTheMaximum() throws {
        #expect(UnixSocket.pathBytesMaximum == 107)
        let descriptor = try UnixSocket.make()
        defer { UnixSocket.close(descriptor) }
        let path = "/tmp/" + String(repeating: "x", count: 103)
        let error = UnixSocketError.pathTooLong(lengthBytes: 108, maximumBytes: 107)
        #expect(throws: error) { try UnixSocket.bind(descriptor, path: path) }
        #expect(throws: error) { try UnixSocket.connect(path: path, blocking: false) }
        #expect(error.description.contains("108") && error.description.contains("107"))
        #expect(throws: UnixSocketError.pathInvalid) { try UnixSocket.bind(descriptor, path: "") }
        #expect(throws: UnixSocketError.pathInvalid) { try UnixSocket.bind(descriptor, path: "/tmp/a\0b") }
    }

    @Test func thePathOfMaximumLengthWorks() throws {
        let start = "/tmp/prism-\(getpid())-"
        let path = start + String(repeating: "y", count: 107 - start.utf8.count)
        let listener = try UnixSocket.make()
        defer {
            UnixSocket.close(listener)
            unlink(path)
        }
        try UnixSocket.bind(listener, path: path)
        try UnixSocket.listen(listener, backlog: 1)
        UnixSocket.close(try UnixSocket.connect(path: path, blocking: false))
    }

    @Test func staleAndMissingFilesAreToldApart() throws {
        let path = "/tmp/prism-test-\(getpid())-stale.sock"
        let listener = try UnixSocket.make()
        try UnixSocket.bind(listener, path: path)
        UnixSocket.close(listener)
        let refused = UnixSocketError.systemCall(SystemCallError(call: "connect", code: ECONNREFUSED))
        #expect(throws: refused) { try UnixSocket.connect(path: path, blocking: false) }
        let second = try UnixSocket.make()
        defer { UnixSocket.close(second) }
        let inUse = UnixSocketError.systemCall(SystemCallError(call: "bind", code: EADDRINUSE))
        #expect(throws: inUse) { try UnixSocket.bind(second, path: path) }
        unlink(path)
        let missing = UnixSocketError.systemCall(SystemCallError(call: "connect", code: ENOENT))
        #expect(throws: missing) { try UnixSocket.connect(path: path, blocking: false) }
    }

    @Test func aFullBacklogIsToldAtOnceToANonBlockingClient() throws {
        try withListener(backlog: 1) { _, path in
            var clients: [CInt] = []
            defer { for client in clients { UnixSocket.close(client) } }
            #expect(throws: UnixSocketError.systemCall(SystemCallError(call: "connect", code: EAGAIN))) {
                for _ in 0..<16 { clients.append(try UnixSocket.connect(path: path, blocking: false)) }
            }
        }
    }

    @Test func aBlockingReadEndsAtItsTimeout() throws {
        try withListener { listener, path in
            let client = try UnixSocket.connect(path: path, blocking: true)
            defer { UnixSocket.close(client) }
            try UnixSocket.setTimeout(client, milliseconds: 1)
            var byte: UInt8 = 0
            #expect(withUnsafeMutableBytes(of: &byte) { UnixSocket.read(client, into: $0) } == .wouldBlock)
        }
    }
}
