import PrismCore
import PrismWire
import Testing

/// Each state of one request × each event: which answer it gets, once, and that nothing stays behind.
@Suite struct TransitionTests {
    enum State: String, CaseIterable {
        /// In its transaction's queue, behind another.
        case waiting
        /// With the backend; a write.
        case submitted
        /// With the backend; a read that has sent a part.
        case streaming
        /// A write that a Cancel came too late for.
        case finishing
    }

    enum Event: String, CaseIterable {
        case completes, fails
        case deadlineRemoved, deadlineStopped, deadlineTooLate
        case cancelRemoved, cancelStopped, cancelTooLate
        case connectionLost, brokenFrame, halfClose
        case drainRemoved, drainTooLate, stopped
    }

    /// What the client has read of request 7 when the event is over. `…`: still in flight. `-`: dropped, never answered.
    static let expected: [State: [Event: String]] = [
        .waiting: [
            .completes: "7 OK", .fails: "7 ABORTED execute NOT_EXECUTED",
            .deadlineRemoved: "7 DEADLINE_EXCEEDED queue NOT_EXECUTED",
            .deadlineStopped: "7 DEADLINE_EXCEEDED queue NOT_EXECUTED",
            .deadlineTooLate: "7 DEADLINE_EXCEEDED queue NOT_EXECUTED",
            .cancelRemoved: "7 CANCELLED queue NOT_EXECUTED", .cancelStopped: "7 CANCELLED queue NOT_EXECUTED",
            .cancelTooLate: "7 CANCELLED queue NOT_EXECUTED",
            .connectionLost: "-", .brokenFrame: "-", .halfClose: "…",
            .drainRemoved: "7 UNAVAILABLE queue NOT_EXECUTED", .drainTooLate: "7 UNAVAILABLE queue NOT_EXECUTED",
            .stopped: "7 UNAVAILABLE queue NOT_EXECUTED",
        ],
        .submitted: [
            .completes: "7 OK", .fails: "7 ABORTED execute NOT_EXECUTED",
            .deadlineRemoved: "7 DEADLINE_EXCEEDED queue NOT_EXECUTED",
            .deadlineStopped: "7 DEADLINE_EXCEEDED execute NOT_EXECUTED",
            .deadlineTooLate: "7 DEADLINE_EXCEEDED execute UNKNOWN",
            .cancelRemoved: "7 CANCELLED queue NOT_EXECUTED", .cancelStopped: "7 CANCELLED execute NOT_EXECUTED",
            .cancelTooLate: "…",
            .connectionLost: "-", .brokenFrame: "-", .halfClose: "…",
            .drainRemoved: "7 UNAVAILABLE queue NOT_EXECUTED", .drainTooLate: "…",
            .stopped: "7 UNAVAILABLE execute UNKNOWN",
        ],
        .streaming: [
            .completes: "7 OK", .fails: "7 ABORTED execute NOT_EXECUTED",
            .deadlineRemoved: "7 DEADLINE_EXCEEDED stream NOT_EXECUTED",
            .deadlineStopped: "7 DEADLINE_EXCEEDED stream NOT_EXECUTED",
            .deadlineTooLate: "7 DEADLINE_EXCEEDED stream NOT_EXECUTED",
            .cancelRemoved: "7 CANCELLED stream NOT_EXECUTED", .cancelStopped: "7 CANCELLED stream NOT_EXECUTED",
            .cancelTooLate: "…",
            .connectionLost: "-", .brokenFrame: "-", .halfClose: "…",
            .drainRemoved: "7 UNAVAILABLE stream NOT_EXECUTED", .drainTooLate: "…",
            .stopped: "7 UNAVAILABLE stream NOT_EXECUTED",
        ],
        .finishing: [
            .completes: "7 OK", .fails: "7 ABORTED execute NOT_EXECUTED",
            .deadlineRemoved: "7 DEADLINE_EXCEEDED execute UNKNOWN",
            .deadlineStopped: "7 DEADLINE_EXCEEDED execute UNKNOWN",
            .deadlineTooLate: "7 DEADLINE_EXCEEDED execute UNKNOWN",
            .cancelRemoved: "…", .cancelStopped: "…", .cancelTooLate: "…",
            .connectionLost: "-", .brokenFrame: "-", .halfClose: "…",
            .drainRemoved: "…", .drainTooLate: "…", .stopped: "7 UNAVAILABLE execute UNKNOWN",
        ],
    ]

    @Test(
        "each state of a request times each event gives the promised answer", arguments: State.allCases, Event.allCases)
    func transition(state: State, event: Event) {
        let session = Session()
        let client = session.connect()
        reach(state, session, client)
        happen(event, state, session, client)
        var seen = session.read(client).filter { $0.hasPrefix("7 ") && $0 != "7 part" }
        let wasDropped = event == .connectionLost || event == .brokenFrame
        let now = seen.first ?? (wasDropped ? "-" : "…")
        #expect(now == Self.expected[state]?[event], "\(state) × \(event)")

        // Whatever comes late changes nothing: one final answer, or none on a connection that is gone or in error.
        while !session.submitted.isEmpty { session.complete() }
        session.advance(microseconds: 7_200_000_000)
        seen += session.read(client).filter { $0.hasPrefix("7 ") && $0 != "7 part" }
        #expect(seen.count == (wasDropped ? 0 : 1), "\(state) × \(event): \(seen)")
        session.disconnect(client)
        session.expectNothingLeft()
    }

    private func reach(_ state: State, _ session: Session, _ client: ConnectionReference) {
        switch state {
        case .waiting:
            let transaction = session.begin(client)
            session.send(
                client, .put(6).in(transaction), .put(7).in(transaction).timeout(microseconds: 1_000_000))
        case .submitted: session.send(client, .put(7).timeout(microseconds: 1_000_000))
        case .streaming:
            session.send(client, .query(7).readOnly().timeout(microseconds: 1_000_000))
            session.part()
        case .finishing:
            session.send(client, .put(7).timeout(microseconds: 1_000_000))
            session.cancelOutcome = .tooLate
            session.send(client, .cancel(8, of: 7))
            #expect(session.read(client) == ["8 OK"])
        }
    }

    private func happen(_ event: Event, _ state: State, _ session: Session, _ client: ConnectionReference) {
        if state == .waiting, event == .completes || event == .fails { session.complete() }
        switch event {
        case .completes: session.complete()
        case .fails: session.complete(.aborted)
        case .deadlineRemoved, .cancelRemoved, .drainRemoved: session.cancelOutcome = .removed
        case .deadlineStopped, .cancelStopped: session.cancelOutcome = .stopped
        case .deadlineTooLate, .cancelTooLate, .drainTooLate, .stopped: session.cancelOutcome = .tooLate
        default: break
        }
        switch event {
        case .deadlineRemoved, .deadlineStopped, .deadlineTooLate: session.advance(microseconds: 1_000_000)
        case .cancelRemoved, .cancelStopped, .cancelTooLate: session.send(client, .cancel(9, of: 7))
        case .connectionLost: session.disconnect(client)
        case .brokenFrame: session.send(client, bytes: [0, 0, 0, 0])
        case .halfClose: session.endSending(client)
        case .drainRemoved, .drainTooLate: session.enter(.cancelling)
        case .stopped:
            session.enter(.cancelling)
            session.enter(.stopped)
        default: break
        }
    }

    @Test("a deadline is never early, and the earlier of timeout and deadline counts")
    func deadlines() {
        let session = Session()
        let client = session.connect()
        session.send(client, .put(1).timeout(microseconds: 1_000))
        session.advance(microseconds: 999)
        #expect(session.read(client).isEmpty)
        session.advance(microseconds: 1)
        #expect(session.read(client) == ["1 DEADLINE_EXCEEDED queue NOT_EXECUTED"])

        var both = TestRequest.put(2).timeout(microseconds: 1_000)
        both.deadlineNanoseconds = session.now + 10_000
        session.send(client, both)
        session.advance(microseconds: 10)
        #expect(session.read(client) == ["2 DEADLINE_EXCEEDED queue NOT_EXECUTED"])

        // Without either the default holds; what saturates is capped by the maximum.
        session.send(client, .put(3), .put(4).timeout(microseconds: .max))
        session.advance(microseconds: 30_000_000)
        #expect(session.read(client) == ["3 DEADLINE_EXCEEDED queue NOT_EXECUTED"])
        session.advance(microseconds: 3_570_000_000)
        #expect(session.read(client) == ["4 DEADLINE_EXCEEDED queue NOT_EXECUTED"])
    }

    @Test("a timeout counts from the read that completed the frame, however long it waits for its turn")
    func timeoutCountsFromTheRead() {
        let session = Session(Session.settings { $0.inFlightPerConnectionMax = 1 })
        let client = session.connect()
        session.send(client, .put(1), .put(2).timeout(microseconds: 500))
        session.advance(microseconds: 1_000)
        session.complete()
        #expect(session.read(client) == ["1 OK", "2 DEADLINE_EXCEEDED admission NOT_EXECUTED"])
    }

    @Test("a late word on a request that has its answer is counted and dropped, also when its slot is used again")
    func lateCompletions() {
        let session = Session()
        let client = session.connect()
        session.send(client, .put(1).timeout(microseconds: 10))
        let late = session.submitted[0]
        session.cancelOutcome = .stopped
        session.advance(microseconds: 10)
        session.send(client, .put(2))
        session.complete(late, .ok)
        #expect(session.read(client) == ["1 DEADLINE_EXCEEDED execute NOT_EXECUTED"])
        #expect(session.multiplexer.metrics.lateCompletions == 1)
        session.complete()
        #expect(session.read(client) == ["2 OK"])
    }
}
