import PrismTools
import PrismWire
import Testing

@Suite struct ClientTests {
    func put(_ version: UInt64) -> (UnsafeMutablePointer<Prism__V1__Response>) -> Void {
        { response in
            let body = UnsafeMutablePointer<Prism__V1__PutResult>.allocate(capacity: 1)
            prism__v1__put_result__init(body)
            body.pointee.version = version
            response.pointee.put = body
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_PUT
        }
    }

    func count(_ count: UInt64) -> (UnsafeMutablePointer<Prism__V1__Response>) -> Void {
        { response in
            let body = UnsafeMutablePointer<Prism__V1__CountResult>.allocate(capacity: 1)
            prism__v1__count_result__init(body)
            body.pointee.count = count
            response.pointee.count = body
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_COUNT
        }
    }

    @Test func aRequestCarriesWhatWasAskedFor() throws {
        var seen: [String] = []
        let sidecar = FakeSidecar { request in
            let put = request.put
            seen.append(
                "\(request.id) \(put?.namespace_.string ?? "") \(put?.key.string ?? "") \(put?.value.string ?? "") "
                    + "\(put?.ttl_milliseconds ?? 0) \(put?.condition?.pointee.version_equals ?? 0) "
                    + "\(String(decoding: request.backend, as: UTF8.self)) \(request.timeoutMicroseconds)")
            return [AnswerFrame.final(request.id, self.put(7))]
        }
        do {
            let client = Client(descriptor: sidecar.clientDescriptor)
            let operation = Operation.put(
                namespace: "ns",
                .init(
                    key: Array("k".utf8), value: Array("v".utf8), timeToLiveMilliseconds: 9,
                    condition: .versionEquals(3)))
            let options = RequestOptions(backend: "main", timeoutMicroseconds: 250_000)
            for _ in 1...2 {
                #expect(try client.single(operation, options) { $0.pointee.put?.pointee.version } == 7)
            }
        }
        sidecar.join()
        #expect(seen == ["1 ns k v 9 3 main 250000", "2 ns k v 9 3 main 250000"])
    }

    @Test func parametersKeepTheirTypes() throws {
        var kinds: [UInt32] = []
        let sidecar = FakeSidecar { request in
            if let query = request.query {
                kinds = elements(query.parameters, query.n_parameters).map { $0?.pointee.kind_case.rawValue ?? 99 }
            }
            return [AnswerFrame.final(request.id) { _ in }]
        }
        do {
            let client = Client(descriptor: sidecar.clientDescriptor)
            let parameters: [SQLValue] = [.null, .integer(-1), .double(1.5), .text("x"), .bytes([0xFF])]
            try client.call(.query(sql: "select 1", parameters: parameters)) { _ in }
        }
        sidecar.join()
        #expect(kinds == [1, 3, 4, 5, 6])
    }

    @Test func everyPartOfAStreamIsDelivered() throws {
        let sidecar = FakeSidecar { request in
            [
                AnswerFrame.part(request.id, self.count(1)), AnswerFrame.part(request.id, self.count(2)),
                AnswerFrame.final(request.id, self.count(3)),
            ]
        }
        var counts: [UInt64] = []
        do {
            let client = Client(descriptor: sidecar.clientDescriptor)
            try client.call(.ping(payload: [])) { counts.append($0.pointee.count?.pointee.count ?? 0) }
        }
        sidecar.join()
        #expect(counts == [1, 2, 3])
    }

    @Test func aFailureArrivesWhole() throws {
        let failure = Failure(
            .failedPrecondition, at: .execute, outcome: .notExecuted, "the version is another", isRetryable: true,
            retryAfterMicroseconds: 1_500, sqlState: "40001", sqliteCode: 5, currentVersion: 42, item: 2, position: 3,
            detail: "d", hint: "h")
        let sidecar = FakeSidecar { [AnswerFrame.failure($0.id, failure)] }
        do {
            let client = Client(descriptor: sidecar.clientDescriptor)
            #expect(throws: ToolError.failed(failure)) { try client.call(.ping(payload: [])) { _ in } }
        }
        sidecar.join()
    }

    @Test func aNoticeIsNoAnswer() throws {
        let sidecar = FakeSidecar { request in
            [AnswerFrame.final(0) { _ in }, AnswerFrame.final(request.id, self.put(1))]
        }
        do {
            let client = Client(descriptor: sidecar.clientDescriptor)
            #expect(try client.single(.ping(payload: [])) { $0.pointee.put?.pointee.version } == 1)
        }
        sidecar.join()
    }

    @Test func theLastFrameOfAConnectionInErrorIsItsReason() throws {
        let failure = Failure(.invalidArgument, at: .decode, outcome: .unknown, "an id in flight twice")
        let sidecar = FakeSidecar { _ in [AnswerFrame.failure(0, failure)] }
        do {
            let client = Client(descriptor: sidecar.clientDescriptor)
            #expect(throws: ToolError.failed(failure)) { try client.call(.ping(payload: [])) { _ in } }
        }
        sidecar.join()
    }

    @Test func aLostConnectionLeavesTheOutcomeUnknown() throws {
        let sidecar = FakeSidecar { _ in [] }
        let client = Client(descriptor: sidecar.clientDescriptor)
        #expect {
            try client.call(.ping(payload: [])) { _ in }
        } throws: { error in
            guard case ToolError.failed(let failure) = error else { return false }
            return failure.code == .unavailable && failure.outcome == .unknown
        }
        sidecar.join()
    }

    @Test(arguments: [[0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 1, 0xFF]] as [[UInt8]])
    func garbageIsSaidToBeNone(_ frame: [UInt8]) throws {
        let sidecar = FakeSidecar { _ in [frame] }
        do {
            let client = Client(descriptor: sidecar.clientDescriptor)
            #expect {
                try client.call(.ping(payload: [])) { _ in }
            } throws: { error in
                guard case ToolError.failed(let failure) = error else { return false }
                return failure.code == .internal
            }
        }
        sidecar.join()
    }

    @Test func aPathThatCannotBeASocketIsRefusedWithTheLimit() {
        let path = "/" + String(repeating: "x", count: 200)
        #expect {
            _ = try Client(path: path, timeoutMilliseconds: 1)
        } throws: { error in
            guard case ToolError.usage(let message, let remedy) = error else { return false }
            return message.contains("107") && !remedy.isEmpty
        }
    }
}
