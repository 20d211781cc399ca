public import PrismWire

/// What a backend says of a request; travels with a body (a packed `Response` without id, more and cost).
public struct Completion: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        /// A part of a stream; more follow. Counts against the stream's window until credited.
        case part = 0
        /// The last word on this request. Exactly one for every work item that was not removed or stopped by a cancel.
        case final = 1
    }

    /// What became of the transaction that the request belongs to.
    public enum TransactionEffect: UInt8, Sendable {
        /// No transaction, or it is as open as before.
        case unchanged = 0
        /// The backend holds it no longer: committed, rolled back, or lost with its connection.
        case ended = 1
    }

    public var reference: RequestReference
    public var kind: Kind
    public var code: StatusCode
    /// Where it failed; `.unspecified` with OK.
    public var stage: Stage
    public var transactionEffect: TransactionEffect
    /// CLOCK_MONOTONIC nanoseconds when the backend began on it; 0: never.
    public var startedNanoseconds: UInt64
    /// Time spent in the backend, nanoseconds.
    public var backendNanoseconds: UInt64

    public init(
        reference: RequestReference, kind: Kind, code: StatusCode = .ok, stage: Stage = .unspecified,
        transactionEffect: TransactionEffect = .unchanged, startedNanoseconds: UInt64 = 0,
        backendNanoseconds: UInt64 = 0
    ) {
        self.reference = reference
        self.kind = kind
        self.code = code
        self.stage = stage
        self.transactionEffect = transactionEffect
        self.startedNanoseconds = startedNanoseconds
        self.backendNanoseconds = backendNanoseconds
    }

    /// As flat bytes for a mailbox record, before the body.
    public static let headerBytes = 32

    public func write(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: reference.rawValue, as: UInt64.self)
        target.storeBytes(of: startedNanoseconds, toByteOffset: 8, as: UInt64.self)
        target.storeBytes(of: backendNanoseconds, toByteOffset: 16, as: UInt64.self)
        target.storeBytes(of: kind.rawValue, toByteOffset: 24, as: UInt8.self)
        target.storeBytes(of: code.rawValue, toByteOffset: 25, as: UInt8.self)
        target.storeBytes(of: stage.rawValue, toByteOffset: 26, as: UInt8.self)
        target.storeBytes(of: transactionEffect.rawValue, toByteOffset: 27, as: UInt8.self)
        target.storeBytes(of: 0, toByteOffset: 28, as: UInt32.self)
    }

    /// Nil: not a record that `write(to:)` made.
    public init?(record: UnsafeRawBufferPointer) {
        guard record.count >= Self.headerBytes,
            let kind = Kind(rawValue: record[24]), let code = StatusCode(rawValue: record[25]),
            let stage = Stage(rawValue: record[26]), let effect = TransactionEffect(rawValue: record[27])
        else { return nil }
        self.init(
            reference: RequestReference(rawValue: record.load(as: UInt64.self)), kind: kind, code: code, stage: stage,
            transactionEffect: effect, startedNanoseconds: record.load(fromByteOffset: 8, as: UInt64.self),
            backendNanoseconds: record.load(fromByteOffset: 16, as: UInt64.self))
    }
}
