/// What the server has said of a client's statement, and how it has run. Belongs to one engine's thread.
public final class KnownStatement: @unchecked Sendable, Equatable {
    /// The types with which to prepare it. Empty: all are left to the server.
    public let types: [TypeOID]
    /// Of each parameter, declared or inferred.
    public let parameters: [TypeOID]
    /// Empty: it returns no rows.
    public let columns: [ServerColumn]
    /// In which to ask for its rows.
    public let format: ValueFormat
    public let kind: StatementKind
    /// By its text it may share a pipeline with others when its request is read-only.
    public let mayShare: Bool
    /// Whether the plan shows that it may; nil: nobody has looked.
    public private(set) var certificate: Bool?
    private var certifiedAt: UInt64 = 0
    private var askedAt: UInt64 = 0
    public internal(set) var standing = SharedStanding(isTrusted: false)
    private var shortness = Shortness()
    /// The types may be others by now: whoever comes next asks.
    private(set) var areTypesInDoubt = false
    private var confirmedAt: UInt64?

    public init(
        types: [TypeOID], parameters: [TypeOID], columns: [ServerColumn], format: ValueFormat, kind: StatementKind,
        mayShare: Bool = false
    ) {
        self.types = types
        self.parameters = parameters
        self.columns = columns
        self.format = format
        self.kind = kind
        self.mayShare = mayShare
    }

    /// The type for which a parameter's value is to be written; 0: as text. What was left to the server another connection may infer
    /// otherwise once a table has been changed, and would read the bytes of an integer as those of something else: text means the same to
    /// all types. But for "char", for which it cannot say every byte.
    func declared(_ index: Int) -> TypeOID {
        guard types.isEmpty, parameters[index] != BuiltInType.char else { return parameters[index] }
        return BuiltInType.unspecified
    }

    /// Whether the server has chosen the type of a parameter.
    var hasInferred: Bool { types.isEmpty ? !parameters.isEmpty : types.contains(BuiltInType.unspecified) }

    /// When a doubt has proved baseless, so long there is no other: an error of types can be the statement's own each time.
    static let confirmedNanoseconds: UInt64 = 1_000_000_000

    /// An error says that the types may be others by now. False: that was looked at just now.
    func doubtTypes(now: UInt64) -> Bool {
        if let confirmedAt, now < saturatingSum(confirmedAt, Self.confirmedNanoseconds) { return false }
        areTypesInDoubt = true
        return true
    }

    /// The server says the same as before.
    func confirmTypes(now: UInt64) {
        // Of several that ask at the same time for the first time nobody has doubted.
        guard areTypesInDoubt else { return }
        areTypesInDoubt = false
        confirmedAt = now
    }

    /// What the plan calls may be defined anew, which nobody tells: so often it is looked at again.
    static let certificateNanoseconds: UInt64 = 10_000_000_000
    /// Others do not ask while one does.
    static let askingNanoseconds: UInt64 = 1_000_000_000

    /// Whether somebody should look at the plan (again). Until it has been, the last certificate holds.
    /// - Parameter doubtedAt: when something was found to be defined anew.
    func isCertificateDue(now: UInt64, _ doubtedAt: UInt64) -> Bool {
        let isOld = certifiedAt <= doubtedAt || now >= saturatingSum(certifiedAt, Self.certificateNanoseconds)
        return (certificate == nil || isOld) && (askedAt == 0 || now >= saturatingSum(askedAt, Self.askingNanoseconds))
    }

    func certificateBegun(now: UInt64) { askedAt = max(1, now) }

    /// - Parameter certificate: nil: it could not be looked at.
    func certify(_ certificate: Bool?, now: UInt64) {
        self.certificate = certificate
        certifiedAt = now
        askedAt = 0
    }

    /// How its rows are to be told where it shares a pipeline.
    var sharedRows: RowDelivery { shortness.isShort ? .together(readsMax: Shortness.readsMax) : .oneByOne }

    /// It was answered from a batch.
    func answered(bytes: Int) { shortness.answered(bytes: bytes) }

    /// The connection was lost on which it was the next to be answered.
    func isInDoubt() { shortness.isInDoubt() }

    /// By what the server has said.
    public static func == (first: KnownStatement, second: KnownStatement) -> Bool {
        first.types == second.types && first.parameters == second.parameters && first.columns == second.columns
            && first.format == second.format && first.kind == second.kind
    }
}

/// What was learned of clients' statements, shared by all connections of one reactor: what one of them has asked the server,
/// another can prepare and execute in one round.
///
/// By text and signature: the types that the parameters of the request declare. Bounded by number and by memory; the statement
/// not used for longest is forgotten first. What was inserted last is always known, whatever the limits.
public struct StatementKnowledge: Sendable {
    /// Statements; at least 1.
    public let capacity: Int
    /// Bytes of texts, signatures and descriptions.
    public let bytesMax: Int
    private var table = StatementTable<KnownStatement>()

    public init(capacity: Int = 1_024, bytesMax: Int = 8 << 20) {
        self.capacity = max(1, capacity)
        self.bytesMax = bytesMax
    }

    public var count: Int { table.count }
    public var bytes: Int { table.bytes }

    /// Marks the statement as just used.
    public mutating func find(sql: UnsafeRawBufferPointer, signature: [TypeOID]) -> KnownStatement? {
        table.find(sql: sql, types: signature)
    }

    public mutating func insert(sql: UnsafeRawBufferPointer, signature: [TypeOID], _ known: KnownStatement) {
        var bytes = (known.types.count + known.parameters.count) * MemoryLayout<TypeOID>.size
        for column in known.columns { bytes += MemoryLayout<ServerColumn>.size + column.name.utf8.count }
        _ = table.insert(known, sql: sql, types: signature, valueBytes: bytes)
        while table.count > capacity || (table.bytes > bytesMax && table.count > 1) { _ = table.removeOldest() }
    }

    /// It has proved wrong: a table or a function is not what it was.
    public mutating func forget(sql: UnsafeRawBufferPointer, signature: [TypeOID]) {
        _ = table.remove(sql: sql, types: signature)
    }
}
