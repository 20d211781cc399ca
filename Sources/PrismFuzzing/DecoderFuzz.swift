import PrismWire

/// The decoder alone: what holds of any bytes at all.
enum DecoderFuzz {
    /// - Returns: what did not hold; nil: everything.
    static func problem(_ bytes: [UInt8], _ random: inout SeededGenerator) -> String? {
        let frameBytesMax = random.pick([64, 1 << 10, 4 << 20])
        let limitBytes = random.pick([0, 100, 1_000, 20_000, 16 << 20])
        let arena = Arena(limitBytes: limitBytes, firstBlockBytes: random.pick([64, 4_096]))
        return bytes.withUnsafeBytes { all in
            var rest = all
            while case .frame(let length) = Frame.scan(rest, bytesMax: frameBytesMax) {
                arena.reset()
                let body = UnsafeRawBufferPointer(rebasing: rest[4..<4 + length])
                if let problem = problem(in: body, arena, limitBytes) { return problem }
                rest = UnsafeRawBufferPointer(rebasing: rest[(4 + length)...])
            }
            return nil
        }
    }

    private static func problem(in body: UnsafeRawBufferPointer, _ arena: Arena, _ limitBytes: Int) -> String? {
        let request = RequestMessage(body, in: arena)
        guard arena.usedBytes <= limitBytes else { return "the decoder used more memory than its limit" }
        if let problem = problem(borrowing: body) { return problem }
        guard let request else { return nil }
        let isRefused: Bool
        do throws(Failure) {
            try RequestValidation(limits: WireLimits()).check(request)
            isRefused = false
        } catch {
            isRefused = true
            if error.outcome != .notExecuted || error.stage != .decode || error.message.isEmpty {
                return "a refusal without its promise: \(error)"
            }
        }
        guard RequestFingerprint(body) != nil else { return "a decoded request has no fingerprint" }
        return problem(repacking: request, isRefused: isRefused)
    }

    /// Read in place, a message is what it is when it is copied.
    private static func problem(borrowing body: UnsafeRawBufferPointer) -> String? {
        let arenas = (Arena(limitBytes: 64 << 20), Arena(limitBytes: 64 << 20))
        let copied = RequestMessage(body, in: arenas.0).map(pack)
        let borrowed = RequestMessage(borrowing: body, in: arenas.1)
        guard copied == borrowed.map(pack) else {
            return "a message read in place is another one: \(hexadecimal([UInt8](body)))"
        }
        guard let borrowed, let operation = borrowed.operation, let kind = borrowed.kind else { return nil }
        let expected = packOperation(borrowed)
        let alone = RequestMessage(operation: operation, kind: kind, in: arenas.0)
        guard alone.map(pack) == expected else {
            return "an operation read alone is another one: \(hexadecimal([UInt8](body)))"
        }
        guard let kept = packKept(borrowed, body), kept != expected else { return nil }
        return "a query that was kept is another one: \(hexadecimal([UInt8](body)))"
    }

    /// Of what is kept of a query beside a copy of its frame; nil: nothing is.
    private static func packKept(_ request: RequestMessage, _ body: UnsafeRawBufferPointer) -> [UInt8]? {
        let size = KeptQuery.size(of: request)
        guard size > 0 else { return nil }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size + body.count, alignment: 8)
        defer { memory.deallocate() }
        let copy = UnsafeMutableRawBufferPointer(rebasing: memory[size...])
        copy.copyMemory(from: body)
        guard let base = memory.baseAddress, let start = copy.baseAddress else { return nil }
        KeptQuery.keep(
            request, of: body, copiedTo: start, in: UnsafeMutableRawBufferPointer(start: base, count: size))
        var message = Prism__V1__Request()
        prism__v1__request__init(&message)
        message.operation_case = PRISM__V1__REQUEST__OPERATION_QUERY
        message.query = base.assumingMemoryBound(to: Prism__V1__Query.self)
        return withUnsafePointer(to: message) { pack($0) }
    }

    /// Without what stands beside the operation.
    private static func packOperation(_ request: RequestMessage) -> [UInt8] {
        var message = request.pointer.pointee
        message.id = 0
        message.timeout_microseconds = 0
        message.deadline_nanoseconds = 0
        message.backend = ProtobufCBinaryData()
        message.transaction = 0
        message.read_only = 0
        message.idempotency_key = ProtobufCBinaryData()
        message.traceparent = ProtobufCBinaryData()
        return withUnsafePointer(to: message) { pack($0) }
    }

    /// Packed again and read again, a message is the same, and judged the same.
    private static func problem(repacking request: RequestMessage, isRefused: Bool) -> String? {
        // protobuf-c skips field 0 where its tag is overlong, and refuses it where it is not, as when it is packed again.
        if hasFieldZero(UnsafeRawPointer(request.pointer)) { return nil }
        let packed = pack(request)
        let arena = Arena(limitBytes: 64 << 20)
        return packed.withUnsafeBytes { bytes -> String? in
            guard let again = RequestMessage(bytes, in: arena) else {
                return "what was packed cannot be decoded: \(hexadecimal(packed))"
            }
            guard pack(again) == packed else { return "a message changes when it is packed twice" }
            var isRefusedAgain = false
            do throws(Failure) { try RequestValidation(limits: WireLimits()).check(again) } catch {
                isRefusedAgain = true
            }
            return isRefused == isRefusedAgain ? nil : "a message is judged differently once it was packed again"
        }
    }

    private static func hasFieldZero(_ message: UnsafeRawPointer) -> Bool {
        let base = message.load(as: ProtobufCMessage.self)
        for index in 0..<Int(base.n_unknown_fields) where base.unknown_fields[index].tag == 0 { return true }
        let descriptor = base.descriptor.pointee
        for index in 0..<Int(descriptor.n_fields) where descriptor.fields[index].type == PROTOBUF_C_TYPE_MESSAGE {
            let field = descriptor.fields[index]
            let place = message + Int(field.offset)
            let quantifier = message + Int(field.quantifier_offset)
            var count = 1
            var base = place
            if field.label == PROTOBUF_C_LABEL_REPEATED {
                count = quantifier.load(as: Int.self)
                guard count > 0, let list = place.load(as: UnsafeRawPointer?.self) else { continue }
                base = list
            } else if field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0 {
                guard quantifier.load(as: UInt32.self) == field.id else { continue }
            }
            for position in 0..<count {
                let pointer = (base + position * MemoryLayout<UnsafeRawPointer>.stride).load(as: UnsafeRawPointer?.self)
                if let pointer, hasFieldZero(pointer) { return true }
            }
        }
        return false
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.prefix(200).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func pack(_ request: RequestMessage) -> [UInt8] { pack(request.pointer) }

    private static func pack(_ request: UnsafePointer<Prism__V1__Request>) -> [UInt8] {
        let size = prism__v1__request__get_packed_size(request)
        return [UInt8](unsafeUninitializedCapacity: size) { target, count in
            count = target.baseAddress.map { prism__v1__request__pack(request, $0) } ?? 0
        }
    }
}
