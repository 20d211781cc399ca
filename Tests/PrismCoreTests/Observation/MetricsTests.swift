import PrismWire
import Testing

@testable import PrismCore

@Suite struct MetricsTests {
    @Test("bounds are a 1-2-5 series from 10 µs to 100 s, inclusive; what lies above has a bucket of its own")
    func bounds() {
        let bounds = LatencyHistogram.boundsNanoseconds
        #expect(bounds.first == 10_000 && bounds.last == 100_000_000_000)
        #expect(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 && $1 <= $0 * 5 / 2 })
        var histogram = LatencyHistogram()
        for bound in bounds {
            histogram.record(nanoseconds: bound)
            histogram.record(nanoseconds: bound + 1)
        }
        #expect(histogram.counts == [1] + Array(repeating: 2, count: bounds.count - 1) + [1])
        #expect(histogram.count == UInt64(bounds.count) * 2)
    }

    /// A histogram that ended at 100 ms once reported "p99 100 ms" for a system whose mean was 2.4 s.
    @Test("a quantile is a bound below which that share lies; above all bounds it is unknown, not 100 s")
    func quantiles() {
        var histogram = LatencyHistogram()
        #expect(histogram.quantileBoundNanoseconds(0.5) == nil)
        for _ in 0..<90 { histogram.record(nanoseconds: 15_000) }
        for _ in 0..<9 { histogram.record(nanoseconds: 3_000_000) }
        histogram.record(nanoseconds: 200_000_000_000)
        #expect(histogram.quantileBoundNanoseconds(0.5) == 20_000)
        #expect(histogram.quantileBoundNanoseconds(0.9) == 20_000)
        #expect(histogram.quantileBoundNanoseconds(0.99) == 5_000_000)
        #expect(histogram.quantileBoundNanoseconds(1) == .max)
        #expect(histogram.sumNanoseconds == 90 * 15_000 + 9 * 3_000_000 + 200_000_000_000)
    }

    @Test("merging adds every counter and translates the labels of clients by name")
    func merging() {
        var (one, two) = (Metrics(backends: 1), Metrics(backends: 1))
        let (a, b) = (one.clientLabel("a"), one.clientLabel("b"))
        let (otherB, otherA) = (two.clientLabel("b"), two.clientLabel("a"))
        #expect((a, b) == (otherB, otherA))
        let key = { (client: UInt8) in Metrics.RequestKey(backend: 0, operation: 16, code: .ok, client: client) }
        one.requests = [key(a): 1, key(b): 10]
        two.requests = [key(otherA): 100, key(otherB): 1_000, key(0): 5]
        two.requestDuration[0].record(nanoseconds: 1)
        two.deadlineExceeded[.queue] = 2
        two.cancelled[.drain] = 3
        two.bytesIn = 4
        two.bytesOut = 5
        two.connectionsAccepted = 6
        two.connectionsRefused = 7
        two.protocolErrors = 8
        two.invariantViolations = 9
        two.lateCompletions = 10
        two.unansweredAtClose = 11
        for _ in 0..<2 { one.merge(two) }
        #expect(one.requests == [key(a): 201, key(b): 2_010, key(0): 10])
        #expect(one.requestDuration[0].count == 2)
        #expect(one.deadlineExceeded == [.queue: 4] && one.cancelled == [.drain: 6])
        #expect([one.bytesIn, one.bytesOut, one.connectionsAccepted, one.connectionsRefused] == [8, 10, 12, 14])
        #expect(
            [one.protocolErrors, one.invariantViolations, one.lateCompletions, one.unansweredAtClose]
                == [16, 18, 20, 22])
    }

    @Test("labels of clients are bounded: later ones are other")
    func clientLabels() {
        var metrics = Metrics(backends: 0)
        let labels = (0..<100).map { metrics.clientLabel("client \($0)") }
        #expect(Set(labels).count == Metrics.clientLabelsMax)
        #expect(labels.suffix(37).allSatisfy { $0 == 0 })
        #expect(metrics.clientLabel("client 5") == labels[5])
    }

    @Test("every final answer is counted once, by backend, operation, code and client")
    func requestsAreCounted() {
        let session = Session()
        let client = session.connect()
        session.send(client, .put(1), .get(2), .ping(3), .get(4).on("nowhere"))
        session.complete()
        session.complete(.aborted)
        var counted: [String: UInt64] = [:]
        for (key, count) in session.multiplexer.metrics.requests {
            let operation = OperationKind(rawValue: key.operation)?.name ?? "?"
            counted["\(key.backend) \(operation) \(key.code.name)", default: 0] += count
        }
        #expect(counted == ["0 put OK": 1, "0 get ABORTED": 1, "-1 ping OK": 1, "-1 get NOT_FOUND": 1])
        #expect(session.multiplexer.metrics.clientLabels == ["other", "uid 1000"])
        #expect(session.multiplexer.metrics.backendDuration[0].count == 2)
    }

    @Test("cancels by reason, deadlines by stage")
    func endingsAreCounted() {
        let session = Session()
        let client = session.connect()
        session.send(client, .put(1).timeout(microseconds: 1), .put(2), .put(3))
        session.advance(microseconds: 1)
        session.send(client, .cancel(9, of: 2))
        session.disconnect(client)
        #expect(session.multiplexer.metrics.deadlineExceeded == [.queue: 1])
        #expect(session.multiplexer.metrics.cancelled == [.deadline: 1, .request: 1, .disconnect: 1])
    }
}
