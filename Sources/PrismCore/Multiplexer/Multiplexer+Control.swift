import PrismWire

extension Multiplexer {
    /// Hello, Ping and Cancel: answered here and now.
    func control(_ index: Int, _ request: RequestMessage, _ kind: OperationKind, _ now: UInt64) {
        count(backend: -1, kind: kind, .ok, of: index)
        guard let response = ResponseBody.make(in: arena) else {
            return write(Failure(.internal, at: .admission, "no memory for the answer"), id: request.id, to: index)
        }
        var found = false
        switch kind {
        case .hello:
            connections[index].saidHello = true
            connections[index].clientName = request.hello?.client_name.string ?? ""
            fillHelloResult(response)
        case .ping:
            if let result = arena.allocate(Prism__V1__PingResult.self) {
                prism__v1__ping_result__init(result)
                result.pointee.payload = request.ping?.payload ?? ProtobufCBinaryData()
                response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_PING
                response.pointee.ping = result
            }
        default:
            let target = request.cancel.flatMap { requestIndex.find(connection: index, id: $0.request_id) }
            if let target { cancel(target, .request, now) }
            found = target != nil
            if let result = arena.allocate(Prism__V1__CancelResult.self) {
                prism__v1__cancel_result__init(result)
                result.pointee.found = found ? 1 : 0
                response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_CANCEL
                response.pointee.cancel = result
            }
        }
        scratch.removeAll(keepingUpTo: 1 << 16)
        ResponseBody.append(response, to: &scratch)
        writeScratch(id: request.id, to: index)
    }

    private func fillHelloResult(_ response: UnsafeMutablePointer<Prism__V1__Response>) {
        let backends = settings.backends
        guard let result = arena.allocate(Prism__V1__HelloResult.self),
            let infos = arena.allocate(Prism__V1__BackendInfo.self, count: backends.count),
            let pointers = arena.allocate(UnsafeMutablePointer<Prism__V1__BackendInfo>?.self, count: backends.count)
        else { return }
        prism__v1__hello_result__init(result)
        for (position, backend) in backends.enumerated() {
            prism__v1__backend_info__init(infos + position)
            infos[position].name = arena.copy(backend.name) ?? ProtobufCBinaryData()
            infos[position].kind = Prism__V1__BackendKind(rawValue: UInt32(backend.kind.rawValue))
            infos[position].is_default = backend.isDefault ? 1 : 0
            pointers[position] = infos + position
        }
        result.pointee.server_version = arena.copy(settings.serverVersion) ?? ProtobufCBinaryData()
        result.pointee.backends = pointers
        result.pointee.n_backends = backends.count
        result.pointee.drain_state = Prism__V1__DrainState(rawValue: UInt32(phase.rawValue))
        result.pointee.frame_bytes_max = UInt64(settings.wire.frameBytesMax)
        result.pointee.in_flight_max = UInt64(settings.inFlightPerConnectionMax)
        result.pointee.default_timeout_microseconds = settings.defaultTimeoutNanoseconds / 1_000
        result.pointee.maximum_timeout_microseconds = settings.maximumTimeoutNanoseconds / 1_000
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_HELLO
        response.pointee.hello = result
    }

    /// Puts the body of a Begin's answer into `scratch`.
    func appendBeginResult(_ transaction: Int) {
        let limits = limitsNanoseconds(transaction)
        var result = Prism__V1__BeginResult()
        prism__v1__begin_result__init(&result)
        result.transaction = transactionReference(transaction).rawValue
        result.idle_limit_microseconds = limits.idle / 1_000
        result.total_limit_microseconds = limits.total / 1_000
        var response = Prism__V1__Response()
        prism__v1__response__init(&response)
        response.payload_case = PRISM__V1__RESPONSE__PAYLOAD_BEGIN
        withUnsafeMutablePointer(to: &result) { result in
            response.begin = result
            ResponseBody.append(&response, to: &scratch)
        }
    }

    /// Puts the empty result of a Commit, Rollback, Savepoint or RollbackTo into `scratch`: a payload's number is its operation's.
    func appendEmptyResult(_ kind: OperationKind) {
        let tag = UInt16(kind.rawValue) << 3 | 2
        scratch.append(byte: UInt8(truncatingIfNeeded: tag) | 0x80)
        scratch.append(byte: UInt8(truncatingIfNeeded: tag >> 7))
        scratch.append(byte: 0)
    }

    /// Puts a Notice into `scratch`.
    func appendNotice(budgetLeftNanoseconds: UInt64) {
        var reason = drainReason
        reason.withUTF8 { utf8 in
            var notice = Prism__V1__Notice()
            prism__v1__notice__init(&notice)
            notice.drain_state = Prism__V1__DrainState(rawValue: UInt32(phase.rawValue))
            notice.reason = ProtobufCBinaryData(
                len: utf8.count, data: UnsafeMutablePointer(mutating: utf8.baseAddress))
            notice.budget_left_microseconds = budgetLeftNanoseconds == .max ? 0 : budgetLeftNanoseconds / 1_000
            var response = Prism__V1__Response()
            prism__v1__response__init(&response)
            response.payload_case = PRISM__V1__RESPONSE__PAYLOAD_NOTICE
            withUnsafeMutablePointer(to: &notice) { notice in
                response.notice = notice
                ResponseBody.append(&response, to: &scratch)
            }
        }
    }
}
