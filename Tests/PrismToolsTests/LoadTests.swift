import PrismWire
import Testing

@testable import PrismTools

@Suite struct LoadTests {
    func plan(_ workload: LoadPlan.Workload) -> LoadPlan {
        var plan = LoadPlan(workload: workload, socketPath: "", run: "1a2b")
        plan.backend = "main"
        plan.keys = 300
        plan.valueBytes = 1_000
        return plan
    }

    /// Runs `body` with a request that the writer wrote and the decoder read.
    func decode(_ writer: inout LoadRequestWriter, id: UInt64, _ body: (RequestMessage) -> Void) throws {
        var output = ByteQueue()
        writer.append(id: id, to: &output)
        guard case .frame(let length) = Frame.scan(output.bytes, bytesMax: 1 << 20) else {
            Issue.record("not one frame")
            return
        }
        #expect(output.count == Frame.headerBytes + length)
        let arena = Arena(limitBytes: 1 << 20)
        let bytes = UnsafeRawBufferPointer(rebasing: output.bytes[Frame.headerBytes...])
        body(try #require(RequestMessage(bytes, in: arena)))
    }

    @Test func readsDecodeToWhatWasMeant() throws {
        var writer = LoadRequestWriter(plan: plan(.keyValueGet), seed: 1)
        for id in [1, 127, 128, 1 << 40] as [UInt64] {
            try decode(&writer, id: id) { request in
                #expect(request.id == id)
                #expect(request.timeoutMicroseconds == 30_000_000)
                #expect(String(decoding: request.backend, as: UTF8.self) == "main")
                #expect(request.isReadOnly)
                #expect(request.get?.namespace_.string == "bench-1a2b")
                #expect(request.get?.key.string.hasPrefix("k000000000") == true)
            }
        }
    }

    @Test func valuesChangeAtEveryPut() throws {
        var writer = LoadRequestWriter(plan: plan(.keyValuePut), seed: 1)
        var values: Set<String> = []
        for id in 1...1_000 as ClosedRange<UInt64> {
            try decode(&writer, id: id) { request in
                #expect(request.put?.value.len == 1_000)
                #expect(!request.isReadOnly)
                values.insert(request.put?.value.string ?? "")
            }
        }
        #expect(values.count == 1_000)
    }

    @Test func theMixedWorkloadWritesOneInTen() throws {
        var writer = LoadRequestWriter(plan: plan(.keyValueMixed), seed: 7)
        var puts = 0
        for id in 1...10_000 as ClosedRange<UInt64> {
            try decode(&writer, id: id) { request in
                #expect(!request.isReadOnly)
                if request.put != nil { puts += 1 }
            }
        }
        #expect((900...1_100).contains(puts))
    }

    @Test func queriesCarryAnIntegerWithinTheRows() throws {
        var writer = LoadRequestWriter(plan: plan(.sql), seed: 3)
        for id in 1...100 as ClosedRange<UInt64> {
            try decode(&writer, id: id) { request in
                let query = request.query
                #expect(query?.sql.string == "select value from bench_rows_1a2b where id = $1")
                let value = query.map { elements($0.parameters, $0.n_parameters) }?.first??.pointee
                #expect(value?.kind_case == PRISM__V1__VALUE__KIND_INTEGER)
                #expect((0..<300).contains(value?.integer ?? -1))
            }
        }
    }

    @Test func answersAreReadWithoutDecodingThem() {
        let found: [UInt8] = [0x08, 0x05, 0x82, 0x01, 0x04, 0x08, 0x01, 0x18, 0x07, 0x22, 0x02, 0x18, 0x09]
        let missing: [UInt8] = [0x08, 0x05, 0x82, 0x01, 0x00]
        let failed: [UInt8] = [0x10, 0x0E, 0x2A, 0x02, 0x08, 0x02, 0x08, 0xAC, 0x02]
        let part: [UInt8] = [0x08, 0x01, 0x18, 0x01]
        func read(_ bytes: [UInt8]) -> LoadAnswer? { bytes.withUnsafeBytes { LoadAnswer($0) } }
        #expect(read(found)?.id == 5)
        #expect(read(found)?.isMissing == false)
        #expect(read(missing)?.isMissing == true)
        #expect(read(failed)?.status == 14)
        #expect(read(failed)?.id == 300)
        #expect(read(part)?.hasMore == true)
        for bytes in [[0x08], [0x82, 0x01, 0x05, 0x00], [0x0F], [0x0D, 0x00]] as [[UInt8]] {
            #expect(read(bytes) == nil)
        }
    }

    @Test func anAnswerCountsOnce() {
        let connection = LoadConnection(descriptor: -1, slots: 3)
        let first = connection.begin(slot: 1, now: 100)
        #expect(connection.end(id: first + 1) == nil)
        #expect(connection.end(id: first)?.slot == 1)
        #expect(connection.end(id: first) == nil)
        let second = connection.begin(slot: 1, now: 200)
        #expect(second != first)
        #expect(connection.end(id: 0) == nil)
        #expect(connection.end(id: second)?.sentAt == 200)
        #expect(connection.inFlight == 0)
    }

    @Test("two runs have names of their own, fit for a namespace and a table")
    func runsHaveNamesOfTheirOwn() {
        let names = (0..<100).map { _ in LoadPlan(workload: .sql, socketPath: "") }
        #expect(Set(names.map(\.namespace)).count == 100)
        for plan in names {
            #expect(plan.namespace.wholeMatch(of: #/bench-[a-z0-9]{1,58}/#) != nil)
            #expect(plan.table.wholeMatch(of: #/bench_rows_[a-z0-9]+/#) != nil)
        }
    }

    @Test func aProcessNameCannotBreakItsProcessorTimeApart() {
        let line = "12 (a) b (c) S 1 12 12 0 -1 4194304 100 0 0 0 70 8 0 0 20 0 3 0 100 0"
        #expect(ProcessorTime.ticks(inStat: Array(line.utf8)[...]) == 78)
        #expect(ProcessorTime.ticks(inStat: Array("12 (a) S 1".utf8)[...]) == nil)
        #expect(ProcessorTime.ticks(inStat: []) == nil)
        #expect(ProcessorTime.nanoseconds(ofProcess: 0) == nil)
    }
}
