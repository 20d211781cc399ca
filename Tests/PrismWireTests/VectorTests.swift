import CPrismWire
import PrismWire
import Testing

/// The wire's promises, byte by byte: every vector is split, decoded and validated as its neighbour says.
@Suite struct VectorTests {
    /// What a stream of bytes was read as.
    struct Reading: Equatable {
        var messages: [String] = []
        var ids: [UInt64] = []
        var ends: String?
        var refusals: [UInt64: Failure] = [:]
    }

    /// Reads as the server does: frame by frame, each in an arena that is reset for it.
    static func read(_ bytes: [UInt8], _ limits: WireLimits) -> Reading {
        let arena = Arena(limitBytes: limits.decodeBytesMax)
        let validation = RequestValidation(limits: limits)
        var reading = Reading()
        bytes.withUnsafeBytes { all in
            var rest = all
            while true {
                switch Frame.scan(rest, bytesMax: limits.frameBytesMax) {
                case .incomplete:
                    reading.ends = rest.isEmpty ? nil : "incomplete"
                    return
                case .invalid:
                    reading.ends = "not_a_frame"
                    return
                case .frame(let length):
                    arena.reset()
                    let body = UnsafeRawBufferPointer(rebasing: rest[4..<4 + length])
                    guard let request = RequestMessage(body, in: arena) else {
                        reading.ends = "not_decodable"
                        return
                    }
                    if request.id == 0 || reading.ids.contains(request.id) {
                        reading.ends = request.id == 0 ? "id_0" : "id_in_flight"
                        return
                    }
                    reading.ids.append(request.id)
                    reading.messages.append(MessageText.render(UnsafeRawPointer(request.pointer)))
                    do throws(Failure) { try validation.check(request) } catch { reading.refusals[request.id] = error }
                    rest = UnsafeRawBufferPointer(rebasing: rest[(4 + length)...])
                }
            }
        }
        return reading
    }

    @Test("well-formed requests decode to what they say, and none is refused that the server would take")
    func requestsDecode() {
        let vectors = Vector.all("requests")
        #expect(vectors.count > 35)
        for vector in vectors { check(vector) }
    }

    @Test("requests that are refused decode, and validation gives the promised status and item")
    func refusedRequestsDecode() {
        let vectors = Vector.all("refused")
        #expect(vectors.count > 50)
        for vector in vectors {
            check(vector)
            #expect(Self.read(vector.bytes, vector.limits).ends == nil, "\(vector.name)")
        }
    }

    @Test("broken frames end the stream where they say, and what stood before them is read")
    func brokenFramesEnd() {
        let vectors = Vector.all("broken")
        #expect(vectors.count > 25)
        for vector in vectors {
            check(vector)
            #expect(vector.ends != nil, "\(vector.name)")
        }
    }

    private func check(_ vector: Vector) {
        let reading = Self.read(vector.bytes, vector.limits)
        #expect(reading.ends == vector.ends, "\(vector.name)")
        if let messages = vector.messages { #expect(reading.messages == messages, "\(vector.name)") }
        for id in reading.ids {
            let failure = reading.refusals[id]
            let expected = vector.refusal(of: id)
            #expect(failure?.code.name == expected?.status, "\(vector.name): \(failure?.message ?? "not refused")")
            guard let failure, let expected else { continue }
            #expect(failure.item == expected.item, "\(vector.name)")
            #expect(failure.stage == .decode && failure.outcome == .notExecuted, "\(vector.name)")
            #expect(!failure.message.isEmpty, "\(vector.name)")
        }
    }

    @Test("every answer decodes to what it says")
    func responsesDecode() {
        let vectors = Vector.all("responses")
        #expect(vectors.count > 25)
        let arena = Arena(limitBytes: 1 << 20)
        for vector in vectors {
            var messages: [String] = []
            vector.bytes.withUnsafeBytes { all in
                var rest = all
                while case .frame(let length) = Frame.scan(rest, bytesMax: 4 << 20) {
                    arena.reset()
                    let body = UnsafeRawBufferPointer(rebasing: rest[4..<4 + length])
                    let response = prism__v1__response__unpack(
                        arena.allocator, length, body.baseAddress?.assumingMemoryBound(to: UInt8.self))
                    messages.append(response.map { MessageText.render($0) } ?? "not decodable")
                    rest = UnsafeRawBufferPointer(rebasing: rest[(4 + length)...])
                }
                #expect(rest.isEmpty, "\(vector.name)")
            }
            #expect(messages == vector.messages, "\(vector.name)")
        }
    }

    @Test("there is a request and an answer for every operation of the schema")
    func everyOperationHasAVector() {
        for (group, descriptor) in [
            ("requests", prism__v1__request__descriptor), ("responses", prism__v1__response__descriptor),
        ] {
            let messages = Vector.all(group).flatMap { $0.messages ?? [] }
            for index in 0..<Int(descriptor.n_fields) where descriptor.fields[index].id >= 16 {
                let name = String(cString: descriptor.fields[index].name)
                #expect(messages.contains { $0.contains("\(name):{") }, "no vector in \(group) has \(name)")
            }
        }
    }
}
