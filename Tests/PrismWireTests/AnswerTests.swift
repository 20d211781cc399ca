import CPrismWire
import PrismWire
import Testing

/// What the sidecar writes: framing around a body, and the bodies of failures.
@Suite struct AnswerTests {
    static let extremes: [UInt64] = [0, 1, 127, 128, 16_383, 16_384, 1 << 32, 1 << 63, .max]

    static func read(_ queue: borrowing ByteQueue, _ check: (Prism__V1__Response) -> Void) {
        let arena = Arena(limitBytes: 1 << 20)
        let bytes = queue.bytes
        guard case .frame(let length) = Frame.scan(bytes, bytesMax: 4 << 20), length + 4 == bytes.count,
            let response = prism__v1__response__unpack(
                arena.allocator, length, bytes.baseAddress.map { ($0 + 4).assumingMemoryBound(to: UInt8.self) })
        else {
            Issue.record("not one whole frame with a Response")
            return
        }
        check(response.pointee)
    }

    @Test("a final answer carries id and cost at every length of varint, around its body")
    func finals() {
        var body = ByteQueue()
        ResponseBody.append(Failure(.notFound, at: .admission, "nothing there"), to: &body)
        for id in Self.extremes {
            for microseconds in Self.extremes {
                var queue = ByteQueue()
                let cost = Cost(
                    queueMicroseconds: microseconds, backendMicroseconds: id, totalMicroseconds: microseconds)
                ResponseFrame.appendFinal(id: id, body: body.bytes, cost: cost, to: &queue)
                #expect(queue.count <= body.count + ResponseFrame.overheadBytesMax)
                Self.read(queue) { response in
                    #expect(response.id == id && response.more == 0)
                    #expect(response.status == PRISM__V1__CODE__NOT_FOUND)
                    #expect(response.failure.pointee.message.string == "nothing there")
                    let read = response.cost.pointee
                    #expect(read.queue_microseconds == microseconds && read.backend_microseconds == id)
                    #expect(read.total_microseconds == microseconds)
                }
            }
        }
    }

    @Test("a part has `more` and no cost; an empty body is an answer OK")
    func parts() {
        var part = ByteQueue()
        ResponseFrame.appendPart(id: 300, body: UnsafeRawBufferPointer(start: nil, count: 0), to: &part)
        Self.read(part) { #expect($0.id == 300 && $0.more != 0 && $0.cost == nil && $0.status == PRISM__V1__CODE__OK) }
        var final = ByteQueue()
        ResponseFrame.appendFinal(
            id: 300, body: UnsafeRawBufferPointer(start: nil, count: 0), cost: Cost(), to: &final)
        Self.read(final) { #expect($0.id == 300 && $0.more == 0 && $0.cost != nil && $0.status == PRISM__V1__CODE__OK) }
    }

    @Test("a failure keeps every field, and texts are cut between characters, whatever a database said")
    func failures() {
        var body = ByteQueue()
        let failure = Failure(
            .aborted, at: .execute, outcome: .unknown, String(repeating: "é", count: 9_000), isRetryable: true,
            retryAfterMicroseconds: 5, sqlState: "40001", sqliteCode: -7, currentVersion: .max, item: 3, position: 4,
            detail: String(repeating: "d", count: 100_000), hint: "hint")
        ResponseBody.append(failure, to: &body)
        #expect(body.count < 20 << 10)
        var queue = ByteQueue()
        ResponseFrame.appendFinal(id: 1, body: body.bytes, cost: Cost(), to: &queue)
        Self.read(queue) { response in
            let read = response.failure.pointee
            #expect(read.stage.rawValue == 5 && read.outcome.rawValue == 3 && read.retryable != 0)
            #expect(read.retry_after_microseconds == 5 && read.sqlstate.string == "40001" && read.sqlite_code == -7)
            #expect(read.current_version == .max && read.item == 3 && read.position == 4)
            #expect(read.message.string == String(repeating: "é", count: 4_096))
            #expect(isValidUTF8(read.message.bytes))
            #expect(read.detail.len == 8_192 && read.hint.string == "hint")
        }
    }

    @Test("columns have names that are UTF-8, as a string field must be: what is not is repaired")
    func columns() {
        let (bad, good): ([UInt8], [UInt8]) = ([0x61, 0x80, 0xE9], Array("ü".utf8))
        for (name, type) in [(bad, good), (good, bad), (bad, []), (good, good)] {
            var columns = ByteQueue()
            name.withUnsafeBytes { name in
                type.withUnsafeBytes { ResultWriter.appendColumn(name: name, type: $0, to: &columns) }
            }
            var body = ByteQueue()
            ResultWriter().write(
                in: .response, columns: columns.bytes, tag: UnsafeRawBufferPointer(start: nil, count: 0),
                rowsAffected: 0, to: &body)
            var queue = ByteQueue()
            ResponseFrame.appendFinal(id: 1, body: body.bytes, cost: Cost(), to: &queue)
            Self.read(queue) { response in
                guard let column = response.query.pointee.columns[0]?.pointee else {
                    Issue.record("no column")
                    return
                }
                #expect(isValidUTF8(column.name.bytes) && column.name.string == String(decoding: name, as: UTF8.self))
                #expect(isValidUTF8(column.type.bytes) && column.type.string == String(decoding: type, as: UTF8.self))
            }
        }
    }

    @Test("codes, stages and outcomes have the numbers and names of the schema")
    func numbers() {
        for code in StatusCode.allCases {
            #expect(name(of: UInt32(code.rawValue), in: prism__v1__code__descriptor) == code.name)
        }
        for stage in Stage.allCases {
            let expected = "STAGE_" + stage.name.uppercased()
            #expect(name(of: UInt32(stage.rawValue), in: prism__v1__stage__descriptor) == expected)
        }
        for outcome in Outcome.allCases {
            let expected = "OUTCOME_" + outcome.name
            #expect(name(of: UInt32(outcome.rawValue), in: prism__v1__outcome__descriptor) == expected)
        }
        let request = prism__v1__request__descriptor
        var names: [UInt32: String] = [:]
        for index in 0..<Int(request.n_fields) where request.fields[index].id >= 16 {
            names[request.fields[index].id] = String(cString: request.fields[index].name)
        }
        #expect(names.count == OperationKind.allCases.count)
        for kind in OperationKind.allCases { #expect(names[UInt32(kind.rawValue)] == kind.name) }
    }

    private func name(of number: UInt32, in descriptor: ProtobufCEnumDescriptor) -> String? {
        for index in 0..<Int(descriptor.n_values) where descriptor.values[index].value == Int32(number) {
            return String(cString: descriptor.values[index].name)
        }
        return nil
    }
}
