public import PrismWire

/// Who may do what (CONTRACT 9). Without rules the socket's mode and group have decided already, and everything is allowed.
public struct AccessPolicy: Sendable {
    public struct Rule: Sendable, Equatable {
        /// Nil: any uid.
        public var uid: UInt32?
        /// Nil: any gid.
        public var gid: UInt32?
        /// Nil: all backends.
        public var backends: [String]?
        /// Nil: all namespaces.
        public var namespaces: [String]?
        public var isReadOnly: Bool
        /// No SQL of its own: see `NamedStatements`.
        public var isNamedStatementsOnly = false
        /// Names its clients in metrics and logs; empty: `uid N`.
        public var label: String
        /// Its part of turns and of what is scarce, beside that of the others; at least 1.
        public var weight = 1
        /// What its clients may have together.
        public var limits = Limits()

        /// `Int.max`: only what holds for all.
        public struct Limits: Sendable, Equatable {
            public var connections = Int.max
            public var inFlight = Int.max
            public var bufferedBytes = Int.max
            public var transactions = Int.max

            public init() {}
        }

        /// Whether it forbids anything to those who may connect.
        var isRestricted: Bool {
            isReadOnly || isNamedStatementsOnly || backends != nil || namespaces != nil
        }

        public init(
            uid: UInt32? = nil, gid: UInt32? = nil, backends: [String]? = nil, namespaces: [String]? = nil,
            isReadOnly: Bool = false, label: String = ""
        ) {
            self.uid = uid
            self.gid = gid
            self.backends = backends
            self.namespaces = namespaces
            self.isReadOnly = isReadOnly
            self.label = label
        }
    }

    public let rules: [Rule]

    public init(rules: [Rule] = []) { self.rules = rules }

    /// What holds for a peer, decided once when it connects; the first rule that matches counts. Nil: it may not connect.
    public func rule(for peer: PeerCredentials) -> (Rule, ClientIdentity)? {
        if rules.isEmpty { return (Rule(uid: peer.uid), ClientIdentity(uid: peer.uid)) }
        return rules.firstIndex {
            ($0.uid == nil || $0.uid == peer.uid) && ($0.gid == nil || $0.gid == peer.gid)
        }.map { (rules[$0], ClientIdentity(rule: $0)) }
    }

    /// Judges one request. Nil: allowed.
    /// - Parameters:
    ///   - isReadOnly: of the request, or of the transaction it belongs to.
    ///   - hasOwnSQL: it is not only statements of the configuration that it runs.
    public static func refusal(
        _ rule: Rule, _ request: RequestMessage, kind: OperationKind, isReadOnly: Bool, hasOwnSQL: Bool, backend: String
    ) -> Failure? {
        if let backends = rule.backends, !backends.contains(backend) {
            return Failure(
                .permissionDenied, at: .admission, "a rule keeps uid and gid of this client from backend \(backend)")
        }
        let mayWrite = kind.isKeyValueWrite || kind == .query || kind == .batch || kind == .begin
        if rule.isReadOnly, mayWrite, !isReadOnly {
            return Failure(
                .permissionDenied, at: .admission,
                "a rule allows this client to read only; mark the request read_only, or ask for the right to write")
        }
        if rule.isNamedStatementsOnly, hasOwnSQL, kind == .query || kind == .batch {
            return Failure(
                .permissionDenied, at: .admission,
                "a rule allows this client named statements only; send the name of one of the configuration instead of SQL"
            )
        }
        guard let namespaces = rule.namespaces else { return nil }
        for namespace in request.namespaces where !namespaces.contains(namespace) {
            return Failure(
                .permissionDenied, at: .admission, "a rule keeps this client from namespace \(namespace)")
        }
        return nil
    }
}

extension RequestMessage {
    /// The namespaces that a key-value request names; empty for others.
    var namespaces: [String] {
        func name(_ bytes: ProtobufCBinaryData?) -> [String] {
            bytes.map { [$0.isEmpty ? "default" : $0.string] } ?? []
        }
        switch kind {
        case .get: return name(get?.namespace_)
        case .getMany: return name(getMany?.namespace_)
        case .put: return name(put?.namespace_)
        case .delete: return name(delete?.namespace_)
        case .increment: return name(increment?.namespace_)
        case .touch: return name(touch?.namespace_)
        case .scan: return name(scan?.namespace_)
        case .count: return name(count?.namespace_)
        case .watch: return name(watch?.namespace_)
        case .write:
            guard let write else { return [] }
            return elements(write.items, write.n_items).flatMap { item -> [String] in
                switch item?.pointee.operation_case {
                case PRISM__V1__WRITE_ITEM__OPERATION_PUT: name(item?.pointee.put?.pointee.namespace_)
                case PRISM__V1__WRITE_ITEM__OPERATION_DELETE: name(item?.pointee.delete_?.pointee.namespace_)
                case PRISM__V1__WRITE_ITEM__OPERATION_INCREMENT: name(item?.pointee.increment?.pointee.namespace_)
                case PRISM__V1__WRITE_ITEM__OPERATION_TOUCH: name(item?.pointee.touch?.pointee.namespace_)
                default: []
                }
            }
        default: return []
        }
    }
}
