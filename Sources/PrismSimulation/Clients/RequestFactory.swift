import PrismCore
import PrismWire

/// Draws requests and writes their frames.
struct RequestFactory {
    static let backends = ["main", "second"]

    /// The next request of a client, entered into the ledger; nil: it has nothing to ask now.
    static func make(_ client: SimulatedClient, _ ledger: Ledger, now: UInt64) -> RequestRecord {
        if let steady = client.profile.steady { return make(steady, client, ledger) }
        if let record = repetition(client, ledger, now) { return record }
        let kind = chooseKind(client)
        var record = RequestRecord(
            serial: ledger.requests.count + 1, client: client.number, id: client.nextID, kind: kind)
        client.nextID += 1
        if kind == .ping || kind == .hello { return record }
        if kind == .cancel {
            record.cancels = client.recent.isEmpty ? 77_777 : client.recent[client.random.below(client.recent.count)]
            return record
        }
        record.backend = client.random.chance(300) ? 1 : 0
        if let view = client.view, kind.needsTransaction || client.random.chance(client.profile.transactionChance) {
            joinTransaction(&record, view, client)
        }
        if kind == .begin { record.isReadOnly = client.random.chance(300) }
        if kind == .query, record.transaction == 0 {
            record.isReadOnly = client.random.chance(max(700, client.profile.readChance))
        }
        if kind == .query, record.isReadOnly {
            record.streamParts = client.random.chance(600) ? 0 : client.random.below(12)
            record.bodyBytes = client.random.pick([1, 100, 900])
        }
        if kind == .query, !record.isReadOnly { record.bodyBytes = client.random.pick([0, 0, 300, 6_000]) }
        chooseUnits(&record, client)
        if kind == .get { record.bodyBytes = client.random.pick([0, 10, 300, 6_000]) }
        if kind.isKeyValueRead { record.isReadOnly = true }
        chooseDeadline(&record, client, now)
        expectRefusal(&record, client)
        record.isOnPostgreSQL = client.postgreSQL.indices.contains(record.backend) && client.postgreSQL[record.backend]
        if record.isOnPostgreSQL, record.expectation == .valid, record.transaction == 0, record.mayWrite,
            client.random.chance(client.profile.keyChance)
        {
            record.key = "once \(record.serial)"
            client.keyed.append(record)
            if client.keyed.count > 4 { client.keyed.removeFirst() }
        }
        return record
    }

    private static func make(
        _ steady: ClientProfile.Steady, _ client: SimulatedClient, _ ledger: Ledger
    ) -> RequestRecord {
        var record = RequestRecord(
            serial: ledger.requests.count + 1, client: client.number, id: client.nextID, kind: steady.kind)
        client.nextID += 1
        record.isReadOnly = steady.kind.isKeyValueRead
        record.timeoutMicroseconds = steady.timeoutMicroseconds
        record.isOnPostgreSQL = client.postgreSQL.first ?? false
        return record
    }

    /// A request sent before, once more with its key.
    private static func repetition(
        _ client: SimulatedClient, _ ledger: Ledger, _ now: UInt64
    ) -> RequestRecord? {
        guard !client.keyed.isEmpty, client.random.chance(client.profile.keyChance) else { return nil }
        let first = client.random.pick(client.keyed)
        var record = RequestRecord(
            serial: ledger.requests.count + 1, client: client.number, id: client.nextID, kind: first.kind)
        client.nextID += 1
        record.backend = first.backend
        record.isOnPostgreSQL = true
        record.key = first.key
        record.repeats = first.serial
        record.units = first.units
        record.statements = first.statements
        record.bodyBytes = first.bodyBytes
        chooseDeadline(&record, client, now)
        return record
    }

    private static func chooseUnits(_ record: inout RequestRecord, _ client: SimulatedClient) {
        if record.kind == .write || record.kind == .batch { record.units = 1 + client.random.below(4) }
        guard record.kind == .query || record.kind == .batch else { return }
        let isOneForAll = record.kind == .query || client.random.chance(300)
        for _ in 0..<(isOneForAll ? 1 : record.units) {
            record.statements.append(
                client.random.pick(record.isReadOnly ? ModelStatement.reading : ModelStatement.changing))
        }
        if record.kind == .batch { record.bodyBytes = client.random.pick([0, 0, 100, 6_000]) }
    }

    private static func chooseKind(_ client: SimulatedClient) -> OperationKind {
        if client.created == 0, client.profile.saysHello { return .hello }
        if client.random.chance(40) { return .ping }
        if client.random.chance(client.profile.cancelChance) { return .cancel }
        if client.random.chance(client.profile.readChance) { return client.random.pick([.get, .query, .query]) }
        guard client.random.chance(client.profile.transactionChance) else {
            return client.random.pick([.get, .put, .increment, .delete, .query, .query, .write, .batch])
        }
        guard let view = client.view else {
            if client.isBeginning { return client.random.pick([.get, .put]) }
            return .begin
        }
        if view.hasFailed {
            return view.savepoints > 0 && client.random.chance(500)
                ? .rollbackTo : client.random.pick([.rollback, .rollback, .put, .commit])
        }
        if view.requests > 2, client.random.chance(350) {
            return client.random.pick([.commit, .commit, .commit, .rollback])
        }
        if client.random.chance(200) { return .savepoint }
        if view.savepoints > 0, client.random.chance(200) { return .rollbackTo }
        return client.random.pick([.put, .put, .increment, .query, .get, .write, .batch])
    }

    private static func joinTransaction(
        _ record: inout RequestRecord, _ view: SimulatedClient.View, _ client: SimulatedClient
    ) {
        guard record.kind != .begin else { return }
        if view.isReadOnly, record.kind.isKeyValueWrite, !client.random.chance(100) { return }
        record.transaction = view.handle
        record.backend = view.backend
        record.isReadOnly = view.isReadOnly
        client.view?.requests += 1
        switch record.kind {
        case .savepoint:
            record.savepoint = "s\(client.random.below(3))"
            client.view?.savepoints += 1
        case .rollbackTo: record.savepoint = "s\(client.random.below(3))"
        case .commit, .rollback:
            // Most clients are done with it then; some go on, and are to be told.
            if client.random.chance(800) { client.view = nil }
        default: break
        }
        if view.isReadOnly, record.kind.isKeyValueWrite {
            record.expectation = .refused([.invalidArgument, .failedPrecondition, .aborted, .notFound])
        }
    }

    private static func chooseDeadline(_ record: inout RequestRecord, _ client: SimulatedClient, _ now: UInt64) {
        guard client.random.chance(client.profile.shortDeadlineChance) else {
            if client.random.chance(100) {
                record.timeoutMicroseconds = client.random.spread(1_000_000, 10_000_000_000)
            }
            return
        }
        switch client.random.below(4) {
        case 0: record.deadlineNanoseconds = now > 2_000_000 ? now - client.random.between(0, 1_000_000) : 1
        case 1: record.deadlineNanoseconds = now + client.random.spread(1_000, 200_000_000)
        default: record.timeoutMicroseconds = client.random.spread(1, 500_000)
        }
    }

    /// Makes some requests wrong, each in a way whose answer is promised.
    private static func expectRefusal(_ record: inout RequestRecord, _ client: SimulatedClient) {
        if client.profile.uid == 1_001, record.transaction == 0, !record.isReadOnly {
            let mayWrite =
                record.kind.isKeyValueWrite || record.kind == .query || record.kind == .batch
                || record.kind == .begin
            if mayWrite { record.expectation = .refused([.permissionDenied]) }
        }
        guard record.expectation == .valid, record.transaction == 0, client.random.chance(client.profile.invalidChance)
        else { return }
        switch client.random.below(4) {
        case 0: record.backend = 2
        case 1 where record.kind != .begin: record.transaction = 0xDEAD_0000_0001
        case 2: record.savepoint = "!"  // Written as a Savepoint with a bad name, without a transaction.
        default: record.savepoint = "?"  // Watch, which is not there.
        }
        record.expectation = .refused([.notFound, .invalidArgument, .unimplemented])
    }

    /// - Parameter isKnown: whether the backend can tell from it whose it is; not so of frames that will be mutated.
    static func frame(_ record: RequestRecord, isKnown: Bool = true) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.field(1, record.id)
        writer.field(2, record.timeoutMicroseconds)
        writer.field(3, record.deadlineNanoseconds)
        if record.backend > 0 { writer.field(4, record.backend < 2 ? backends[record.backend] : "nowhere") }
        writer.field(5, record.transaction)
        let isMarked = record.isReadOnly && !record.kind.isKeyValueWrite
        writer.field(6, isMarked ? 1 : 0)
        if isKnown {
            writer.field(7, record.key)
            writer.field(8, String(record.serial))
        }
        if record.savepoint == "?" {
            writer.field(25) { $0.field(2, "w") }
            return writer.frame
        }
        if record.savepoint == "!" {
            writer.field(37) { $0.field(1, "9 lives") }
            return writer.frame
        }
        let marks = (0..<record.units).map { SerialMark(serial: isKnown ? record.effect : 0, unit: $0) }
        let key = marks[0].key
        writer.field(UInt64(record.kind.rawValue)) { inner in
            switch record.kind {
            case .get, .delete: inner.field(2, key)
            case .put:
                inner.field(2, key)
                inner.field(3, String(repeating: "v", count: record.effect % 90))
            case .increment:
                inner.field(2, key)
                inner.field(3, 2)
            case .query: query(&inner, record.statements[0], marks[0])
            case .batch where record.statements.count == 1 && record.units > 1:
                inner.field(1) { $0.field(1, record.statements[0]) }
                for mark in marks { inner.field(2) { parameter(&$0, 1, mark) } }
            case .batch:
                for (statement, mark) in zip(record.statements, marks) {
                    inner.field(1) { query(&$0, statement, mark) }
                }
            case .write:
                for mark in marks {
                    inner.field(1) { item in
                        // Put, Delete, Increment.
                        item.field(UInt64(1 + (record.effect + mark.unit) % 3)) {
                            $0.field(2, mark.key)
                            if (record.effect + mark.unit) % 3 == 2 { $0.field(3, 2) }
                        }
                    }
                }
            case .savepoint, .rollbackTo: inner.field(1, record.savepoint)
            case .hello: inner.field(1, "client \(record.client)")
            case .ping: inner.field(1, String(record.serial))
            case .cancel: inner.field(1, record.cancels)
            default: break
            }
        }
        return writer.frame
    }

    private static func query(_ writer: inout ProtobufWriter, _ sql: String, _ mark: SerialMark) {
        writer.field(1, sql)
        parameter(&writer, 2, mark)
    }

    /// An integer, zigzag.
    private static func parameter(_ writer: inout ProtobufWriter, _ number: UInt64, _ mark: SerialMark) {
        writer.field(number) { $0.field(3, UInt64(mark.number) << 1) }
    }
}
