internal import PrismReactor
internal import PrismWire

/// Load from one thread. A closed loop: every connection keeps its number of requests in flight, each answer sends the next. Or a
/// fixed rate: requests are sent at their times, as long as places in flight are free.
///
/// Only OK answers count as requests and into the percentiles; everything else is an error by its name. A latency goes to just
/// after the read that held the answer: in a closed loop from just before the write, at a fixed rate from the time at which the
/// request was meant to be sent. What could not be sent until the end is an error as well.
final class LoadGenerator: ReactorHandler {
    /// How long answers are waited for after the end.
    private static let lingerNanoseconds: UInt64 = 5_000_000_000
    private static let receiveBytes = 256 << 10
    static let retainedBytes = 1 << 20
    private static let signalToken = Reactor.reservedTokensStart - 1

    enum Phase {
        case warmUp, measuring, ending, done
    }

    let plan: LoadPlan
    let reactor: Reactor
    private let connections: [LoadConnection]
    private var writer: LoadRequestWriter
    /// Instead of `writer`, where the plan has a peer.
    private var peerWriter: PeerRequestWriter?
    private let ownsDescriptors: Bool
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: receiveBytes, alignment: 16)
    var output = ByteQueue()
    var phase = Phase.warmUp
    private var phaseEnd: UInt64 = 0
    var measuringFrom: UInt64 = 0
    var openConnections: Int
    var inFlight = 0
    /// At a fixed rate.
    var pacer: LoadPacer?
    var places: LoadPlaces
    /// Requests meant for the warm-up.
    private var takenBefore: UInt64 = 0
    private var cpuAtStart: UInt64 = 0
    private let signals: SignalSource
    private let sidecarProcess: Int32
    private var sidecarAtStart: UInt64?
    var report: LoadReport

    /// - Parameters:
    ///   - descriptors: connected and non-blocking; closed by the generator, but for a peer's, which belong to `PeerConnections`.
    ///   - signals: any of them ends the load.
    init(plan: LoadPlan, reactor: Reactor, descriptors: [CInt], signals: SignalSource, seed: UInt64) {
        self.plan = plan
        self.reactor = reactor
        self.signals = signals
        sidecarProcess = descriptors.first.flatMap { try? UnixSocket.peerCredentials($0).processIdentifier } ?? 0
        connections = descriptors.map { LoadConnection(descriptor: $0, slots: plan.inFlight) }
        writer = LoadRequestWriter(plan: plan, seed: seed)
        peerWriter = plan.peer.map { PeerRequestWriter(plan: plan, peer: $0, seed: seed) }
        ownsDescriptors = plan.peer == nil
        openConnections = descriptors.count
        places = LoadPlaces(
            connections: plan.ratePerSecond == nil ? 0 : descriptors.count,
            slots: plan.ratePerSecond == nil ? 0 : plan.inFlight)
        report = LoadReport(plan: plan)
    }

    deinit {
        for connection in connections where connection.isOpen { letGo(connection.descriptor) }
        scratch.deallocate()
    }

    /// Runs the whole plan on this thread.
    func run() throws(SystemCallError) {
        try reactor.add(signals.descriptor, interest: .readable, token: Self.signalToken)
        for (index, connection) in connections.enumerated() {
            try reactor.add(connection.descriptor, interest: .readable, token: UInt64(index))
        }
        let now = MonotonicClock.now()
        phaseEnd = now + plan.warmUpNanoseconds
        if let rate = plan.ratePerSecond {
            pacer = LoadPacer(ratePerSecond: UInt64(rate), start: now)
            return reactor.run(self)
        }
        for (index, connection) in connections.enumerated() {
            // One by one: a request's time starts when it is written, not when the first of 10,000 is.
            let now = MonotonicClock.now()
            for slot in 0..<plan.inFlight { send(slot, connection, now: now) }
            flush(index, connection)
        }
        reactor.run(self)
    }

    func wokenUp() {}

    func ready(token: UInt64, events: Readiness) {
        if token == Self.signalToken { return interrupt() }
        let index = Int(token)
        let connection = connections[index]
        guard connection.isOpen else { return }
        if events.contains(.writable) { flush(index, connection) }
        if connection.isOpen, !events.isDisjoint(with: [.readable, .hangUp, .error]) { receive(index, connection) }
    }

    func endOfTick(now: UInt64) -> UInt64 {
        if pacer != nil, phase == .warmUp || phase == .measuring { sendDue(min(now, phaseEnd - 1)) }
        if now >= phaseEnd { advance(now) }
        if phase == .ending, inFlight == 0 { finish() }
        if openConnections == 0 { finish() }
        guard phase != .done else { return 0 }
        // Without a free place the next answer makes one.
        guard let pacer, phase != .ending, places.count > 0 else { return phaseEnd }
        return min(phaseEnd, pacer.next)
    }

    // MARK: Phases

    private func advance(_ now: UInt64) {
        switch phase {
        case .warmUp:
            phase = .measuring
            measuringFrom = now
            if pacer != nil {
                // To the nanosecond: what is offered is counted by the times for which it was meant.
                measuringFrom = phaseEnd
                report.warmUpErrors += pacer?.skip(before: measuringFrom) ?? 0
                takenBefore = pacer?.taken ?? 0
            }
            phaseEnd = measuringFrom + plan.measuredNanoseconds
            cpuAtStart = ProcessorTime.nanoseconds()
            sidecarAtStart = ProcessorTime.nanoseconds(ofProcess: sidecarProcess)
        case .measuring: beginEnding(now)
        case .ending, .done: finish()
        }
    }

    private func beginEnding(_ now: UInt64) {
        if let pacer {
            let unsent = pacer.due(before: min(now, phaseEnd))
            if unsent > 0 { report.countError("UNSENT", unsent) }
            report.offered = pacer.taken + unsent - takenBefore
        }
        report.measuredNanoseconds = now - measuringFrom
        report.processorNanoseconds = ProcessorTime.nanoseconds() - cpuAtStart
        if let before = sidecarAtStart, let after = ProcessorTime.nanoseconds(ofProcess: sidecarProcess) {
            report.sidecarProcessorNanoseconds = after - min(before, after)
        }
        phase = .ending
        phaseEnd = now + Self.lingerNanoseconds
    }

    /// The first signal ends the measurement and waits for what is in flight, the second does not.
    private func interrupt() {
        guard !signals.read().isEmpty else { return }
        let isFirst = !report.isInterrupted
        report.isInterrupted = true
        let now = MonotonicClock.now()
        switch phase {
        case .warmUp:
            phase = .ending
            phaseEnd = now + Self.lingerNanoseconds
        case .measuring: beginEnding(now)
        case .ending: if !isFirst { finish() }
        case .done: break
        }
    }

    private func finish() {
        guard phase != .done else { return }
        if phase == .measuring { beginEnding(MonotonicClock.now()) }
        if inFlight > 0 { report.countError("UNANSWERED", UInt64(inFlight)) }
        phase = .done
        reactor.stop()
    }

    // MARK: Sending

    func send(_ slot: Int, _ connection: LoadConnection, now: UInt64) {
        let id = connection.begin(slot: slot, now: now)
        inFlight += 1
        guard peerWriter != nil else { return writer.append(id: id, to: &output) }
        connection.expectAnswer(slot: slot)
        peerWriter?.append(to: &output)
    }

    /// At a fixed rate: what is due and finds a free place.
    private func sendDue(_ now: UInt64) {
        while places.count > 0, let intended = pacer?.take(now: now) {
            while let (index, slot) = places.pop() {
                let connection = connections[index]
                guard connection.isOpen else { continue }
                send(slot, connection, now: intended)
                flush(index, connection)
                break
            }
        }
    }

    /// Writes what has been collected for this connection, behind what the socket has not taken yet.
    func flush(_ index: Int, _ connection: LoadConnection) {
        if !connection.outgoing.isEmpty {
            connection.outgoing.append(output.bytes)
            output.removeAll(keepingUpTo: Self.retainedBytes)
            guard let written = write(connection.outgoing.bytes, index, connection) else { return }
            connection.outgoing.consume(written)
        } else if !output.isEmpty {
            let written = write(output.bytes, index, connection)
            if let written, written < output.count {
                output.consume(written)
                connection.outgoing.append(output.bytes)
            }
            output.removeAll(keepingUpTo: Self.retainedBytes)
            if written == nil { return }
        }
        let wantsWritable = !connection.outgoing.isEmpty
        guard wantsWritable != connection.wantsWritable else { return }
        connection.wantsWritable = wantsWritable
        do throws(SystemCallError) {
            try reactor.modify(
                connection.descriptor, interest: wantsWritable ? [.readable, .writable] : .readable,
                token: UInt64(index))
        } catch {
            close(connection, error: "CONNECTION_LOST")
        }
    }

    /// How many bytes were written; nil: the connection is gone.
    private func write(_ bytes: UnsafeRawBufferPointer, _ index: Int, _ connection: LoadConnection) -> Int? {
        switch UnixSocket.write(connection.descriptor, from: bytes) {
        case .bytes(let count): return count
        case .wouldBlock: return 0
        case .closed, .failed:
            // The reason may stand in the socket: read it first.
            receive(index, connection)
            if connection.isOpen { close(connection, error: "CONNECTION_LOST") }
            return nil
        }
    }
    func letGo(_ descriptor: CInt) {
        if ownsDescriptors { UnixSocket.close(descriptor) } else { UnixSocket.shutdown(descriptor, .both) }
    }
}
