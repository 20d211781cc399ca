import PrismCore

/// Who it belongs to, and its text.
struct IdempotencyKey: Hashable {
    let uid: [UInt8]
    let text: [UInt8]

    /// From the parameters of Prism's statements about keys.
    init?(_ values: [[UInt8]?]) {
        guard values.count > 1, let uid = values[0], let text = values[1] else { return nil }
        self.uid = uid
        self.text = text
    }
}

/// What is recorded of a request that was carried out with a key.
struct IdempotencyRecord {
    var fingerprint: [UInt8]
    var answer: [UInt8]?
}

/// The table of idempotency keys.
extension ModelServer {
    /// Another transaction has claimed the key that the session's next statement claims.
    func mustWaitForKey(_ session: ModelSession) -> Bool {
        guard !session.isSkipping, !session.isCancelled, session.block != .failed,
            case .execute(let name, let values, _, _) = session.commands.first,
            session.prepared[name]?.own == .claimKey, let key = IdempotencyKey(values)
        else { return false }
        return sessions.contains { $0 !== session && $0.claims[key] != nil }
    }

    /// Nil: no row.
    func answerKey(_ own: PostgreSQLStatement, _ values: [[UInt8]?], _ session: ModelSession) -> [[UInt8]?]? {
        guard let key = IdempotencyKey(values) else { return nil }
        switch own {
        case .claimKey:
            guard keys[key] == nil, session.claims[key] == nil else { return nil }
            session.claims[key] = IdempotencyRecord(fingerprint: (values.count > 2 ? values[2] : nil) ?? [])
            return [[1]]
        case .findKey:
            guard let record = session.claims[key] ?? keys[key] else { return nil }
            ledger.coverage.saw(.keyReplayed)
            return [record.fingerprint, record.answer]
        default:
            session.claims[key]?.answer = values.count > 2 ? values[2] : nil
            return nil
        }
    }
}
