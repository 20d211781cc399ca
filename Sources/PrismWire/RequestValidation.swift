internal import Glibc

/// The rules of CONTRACT 1–3 that need nothing but the request itself.
///
/// Everything here refuses before anything has run: stage decode for what is malformed, outcome NOT_EXECUTED.
public struct RequestValidation: Sendable {
    public let limits: WireLimits

    public init(limits: WireLimits) { self.limits = limits }

    /// - Throws: `Failure` with INVALID_ARGUMENT, or UNIMPLEMENTED for no or an unknown operation.
    public func check(_ request: RequestMessage) throws(Failure) {
        guard let kind = request.kind else {
            throw Failure(
                .unimplemented, at: .decode,
                "the request names no operation that this version knows; compare prism.proto with the server's version")
        }
        if kind == .watch {
            throw Failure(.unimplemented, at: .decode, "Watch comes with a later release; poll with Scan until then")
        }
        try checkHeader(request, kind)
        switch kind {
        case .get: try checkAddress(request.get?.namespace_, request.get?.key)
        case .getMany: try checkGetMany(request.getMany)
        case .put: try checkPut(request.put)
        case .delete: try checkDelete(request.delete)
        case .increment: try checkIncrement(request.increment)
        case .touch: try checkTouch(request.touch)
        case .write: try checkWrite(request.write)
        case .scan: try checkScan(request.scan)
        case .count:
            try checkNamespace(request.count?.namespace_)
            try checkRange(request.count?.range)
        case .query: try checkQuery(request.query, isBatch: false)
        case .batch: try checkBatch(request.batch)
        case .savepoint: try checkSavepoint(request.savepoint?.name)
        case .rollbackTo: try checkSavepoint(request.rollbackTo?.name)
        case .hello: try checkHello(request.hello)
        case .begin, .commit, .rollback, .ping, .cancel, .watch: break
        }
    }

    private func checkHeader(_ request: RequestMessage, _ kind: OperationKind) throws(Failure) {
        try checkText(request.pointer.pointee.backend, "backend", bytesMax: WireLimits.backendNameBytesMax)
        try checkText(request.pointer.pointee.traceparent, "traceparent", bytesMax: 128)
        try checkText(
            request.pointer.pointee.idempotency_key, "idempotency_key", bytesMax: WireLimits.idempotencyKeyBytesMax)
        if kind.needsTransaction, request.transaction == 0 {
            throw invalid("\(kind.name) needs the transaction handle that Begin answered")
        }
        if request.transaction != 0, kind == .begin || kind.isControl {
            throw invalid("\(kind.name) cannot be part of a transaction; leave the handle out")
        }
        if request.isReadOnly, kind.isKeyValueWrite {
            throw invalid("the request is marked read_only, but \(kind.name) writes")
        }
        guard request.idempotencyKey.count > 0 else { return }
        let isWrite = kind.isKeyValueWrite || kind == .query || kind == .batch || kind == .commit
        if !isWrite || request.isReadOnly {
            throw invalid("idempotency_key belongs to writes, and \(kind.name) here is none")
        }
        if request.transaction != 0, kind != .commit {
            throw invalid("inside a transaction the idempotency_key belongs to its Commit")
        }
    }

    private func checkHello(_ hello: Prism__V1__Hello?) throws(Failure) {
        guard let hello else { throw missing }
        try checkText(hello.client_name, "client_name", bytesMax: WireLimits.clientNameBytesMax)
        try checkText(hello.client_version, "client_version", bytesMax: WireLimits.clientNameBytesMax)
    }

    private func checkSavepoint(_ name: ProtobufCBinaryData?) throws(Failure) {
        guard let bytes = name?.bytes else { throw missing }
        let wellFormed =
            (1...WireLimits.savepointBytesMax).contains(bytes.count) && !(0x30...0x39).contains(bytes[0])
            && bytes.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == 0x5F
            }
        guard wellFormed else {
            throw invalid("a savepoint's name is 1–64 of a-z A-Z 0-9 _ and does not start with a digit")
        }
    }

    func checkText(_ text: ProtobufCBinaryData, _ field: String, bytesMax: Int) throws(Failure) {
        // As most are.
        if text.isEmpty { return }
        guard text.bytes.count <= bytesMax else {
            throw invalid("\(field) has \(text.bytes.count) bytes; at most \(bytesMax) are allowed")
        }
        guard isValidUTF8(text.bytes) else { throw invalid("\(field) is not valid UTF-8") }
        guard memchr(text.data, 0, text.len) == nil else { throw invalid("\(field) contains a NUL byte") }
    }

    func invalid(_ message: String, item: Int = 0) -> Failure {
        Failure(.invalidArgument, at: .decode, message, item: UInt32(item))
    }

    /// protobuf-c never leaves the chosen member of a oneof NULL; said all the same instead of trusting it.
    var missing: Failure { invalid("the operation's message is missing") }
}
