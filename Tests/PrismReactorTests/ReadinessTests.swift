import CLinux
import Testing

@testable import PrismReactor

@Suite struct ReadinessTests {
    @Test func bitsAreTheKernels() {
        #expect(Interest.readable.rawValue == EPOLLIN.rawValue)
        #expect(Interest.writable.rawValue == EPOLLOUT.rawValue)
        #expect(Interest.peerHalfClose.rawValue == EPOLLRDHUP.rawValue)
        #expect(Readiness.readable.rawValue == EPOLLIN.rawValue)
        #expect(Readiness.writable.rawValue == EPOLLOUT.rawValue)
        #expect(Readiness.error.rawValue == EPOLLERR.rawValue)
        #expect(Readiness.hangUp.rawValue == EPOLLHUP.rawValue)
        #expect(Readiness.peerHalfClosed.rawValue == EPOLLRDHUP.rawValue)
    }

    /// What one tick reports for our end of a pair after `peer` did something to its end.
    private func readiness(interest: Interest, after peer: (CInt) -> Void) throws -> Readiness {
        let (near, far) = try UnixSocket.makePair()
        defer { UnixSocket.close(near) }
        let reactor = try Reactor()
        let handler = ScriptedHandler(reactor)
        try reactor.add(near, interest: interest, token: 7)
        peer(far)
        var seen: Readiness = []
        handler.onReady = { token, events in
            #expect(token == 7)
            seen = events
        }
        handler.onEndOfTick = { _ in
            reactor.stop()
            return .max
        }
        reactor.run(handler)
        return seen
    }

    @Test func endOfSendingIsAHalfCloseAndNoHangUp() throws {
        var far: CInt = -1
        let seen = try readiness(interest: [.readable, .peerHalfClose]) {
            far = $0
            UnixSocket.shutdown($0, .write)
        }
        UnixSocket.close(far)
        #expect(seen == [.readable, .peerHalfClosed])
    }

    @Test func endOfSendingIsSeenWithoutReading() throws {
        var far: CInt = -1
        let seen = try readiness(interest: .peerHalfClose) {
            far = $0
            UnixSocket.shutdown($0, .write)
        }
        UnixSocket.close(far)
        #expect(seen == .peerHalfClosed)
    }

    @Test func aClosedPeerIsAHangUp() throws {
        let seen = try readiness(interest: [.readable, .peerHalfClose], after: UnixSocket.close)
        #expect(seen == [.readable, .peerHalfClosed, .hangUp])
    }

    @Test func aClosedPeerIsSeenWithoutAnyInterest() throws {
        #expect(try readiness(interest: [], after: UnixSocket.close) == .hangUp)
    }

    @Test func anIdleConnectionIsWritableOnly() throws {
        var far: CInt = -1
        let seen = try readiness(interest: [.readable, .writable, .peerHalfClose]) { far = $0 }
        UnixSocket.close(far)
        #expect(seen == .writable)
    }

    @Test func bytesSentBeforeACloseCanStillBeRead() throws {
        let (near, far) = try UnixSocket.makePair()
        defer { UnixSocket.close(near) }
        #expect([1, 2, 3].withUnsafeBytes { UnixSocket.write(far, from: $0) } == .bytes(24))
        UnixSocket.close(far)
        var buffer = [UInt8](repeating: 0, count: 64)
        #expect(buffer.withUnsafeMutableBytes { UnixSocket.read(near, into: $0) } == .bytes(24))
        #expect(buffer.withUnsafeMutableBytes { UnixSocket.read(near, into: $0) } == .closed)
    }

    @Test func interestAndTokenCanBeChangedAndRemoved() throws {
        let (near, far) = try UnixSocket.makePair()
        defer {
            UnixSocket.close(near)
            UnixSocket.close(far)
        }
        let reactor = try Reactor()
        let handler = ScriptedHandler(reactor)
        try reactor.add(near, interest: .writable, token: 1)
        var tokens: [UInt64] = []
        var ticks = 0
        handler.onReady = { token, _ in tokens.append(token) }
        handler.onEndOfTick = { _ in
            ticks += 1
            do {
                switch ticks {
                case 1: try reactor.modify(near, interest: .writable, token: 2)
                case 2: try reactor.modify(near, interest: .readable, token: 3)
                case 3:
                    #expect(reactor.remove(near))
                    #expect(!reactor.remove(near))
                    UnixSocket.shutdown(far, .both)
                    UnixSocket.shutdown(near, .both)
                default: reactor.stop()
                }
            } catch { Issue.record(error) }
            return 0
        }
        reactor.run(handler)
        #expect(tokens == [1, 2])
    }

    @Test func misuseIsATypedError() throws {
        let reactor = try Reactor()
        #expect(throws: SystemCallError(call: "epoll_ctl", code: EBADF)) {
            try reactor.add(-1, interest: .readable, token: 1)
        }
        #expect(throws: SystemCallError(call: "epoll_ctl", code: EINVAL)) {
            try reactor.add(0, interest: .readable, token: Reactor.reservedTokensStart)
        }
    }

    @Test func moreReadyDescriptorsThanABatchAreAllServed() throws {
        let reactor = try Reactor()
        let handler = ScriptedHandler(reactor)
        let count = Reactor.eventsPerTickMaximum + 50
        let pairs = try (0..<count).map { _ in try UnixSocket.makePair() }
        defer {
            for (near, far) in pairs {
                UnixSocket.close(near)
                UnixSocket.close(far)
            }
        }
        for (index, pair) in pairs.enumerated() {
            try reactor.add(pair.0, interest: .writable, token: UInt64(index))
        }
        var served = Set<UInt64>()
        handler.onReady = { token, _ in served.insert(token) }
        handler.onEndOfTick = { _ in
            if served.count == count { reactor.stop() }
            return 0
        }
        reactor.run(handler)
        #expect(served.count == count)
        #expect(!handler.timedOut)
    }
}
