/// What is prepared on one server connection: Prism's own statements, which stay, and those of clients, the most recently
/// used of them.
///
/// A name is given once in the life of a connection. Statements are entered when their preparation is sent, so that what follows
/// in the same flight finds them, and taken out with `remove` when it fails.
public struct StatementCache: Sendable {
    /// Longer texts (with their types) are not kept: they would make the cache's memory unbounded.
    public static let textBytesMax = 16 << 10

    /// Statements of clients that are kept. 0: none.
    public let capacity: Int
    private var table = StatementTable<PreparedName>()
    private var recent = RecentStatements()
    private var own: [PreparedName?] = []
    /// The last statement that is not kept: it can be deallocated when the next one comes.
    private var unkept: PreparedName?
    private var condemned: [PreparedName] = []
    /// They were not prepared and have given way to others meanwhile: what deallocates them has been sent, and is skipped as well.
    private var phantoms: [PreparedName] = []
    private var lastNumber: UInt32 = 0

    public init(capacity: Int = 256) { self.capacity = max(0, capacity) }

    /// Statements of clients that can be found.
    public var count: Int { table.count }

    // MARK: Clients' statements

    /// The statement's name, if it is prepared here. Marks it as just used.
    /// - Parameter types: of its parameters, whoever has chosen them.
    public mutating func find(sql: UnsafeRawBufferPointer, types: [TypeOID]) -> PreparedName? {
        table.find(sql: sql, types: types)
    }

    /// The same, of a statement that is known; whoever comes again soon is found without its text.
    mutating func find(_ known: KnownStatement, sql: UnsafeRawBufferPointer) -> PreparedName? {
        if let place = recent.place(of: known, changes: table.changes) { return table.use(place) }
        guard let place = table.place(sql: sql, types: known.parameters) else { return nil }
        recent.keep(known, place, changes: table.changes)
        return table.use(place)
    }

    /// A new name, under which the statement is to be prepared.
    ///
    /// - Returns: also the name of an older statement that has to give way: the caller deallocates it, in front of the
    ///   preparation or behind it; when that is skipped, it says so with `deallocationSkipped`.
    public mutating func insert(
        sql: UnsafeRawBufferPointer, types: [TypeOID]
    ) -> (name: PreparedName, evicted: PreparedName?) {
        let name = nextName()
        guard capacity > 0, sql.count + types.count * MemoryLayout<TypeOID>.size <= Self.textBytesMax else {
            let evicted = unkept
            unkept = name
            return (name, evicted)
        }
        var evicted = table.insert(name, sql: sql, types: types)
        if table.count > capacity { evicted = table.removeOldest() }
        return (name, evicted)
    }

    /// The server has said which types the parameters have: under these it is to be found.
    /// - Returns: what was found under them before; the caller deallocates it.
    mutating func described(
        _ name: PreparedName, sql: UnsafeRawBufferPointer, as types: [TypeOID], parameters: [TypeOID]
    ) -> PreparedName? {
        guard types != parameters, table.find(sql: sql, types: types) == name else { return nil }
        _ = table.remove(sql: sql, types: types)
        return table.insert(name, sql: sql, types: parameters)
    }

    /// The statement is not prepared (any more). Also for Prism's own.
    public mutating func remove(_ name: PreparedName) { _ = removeFound(name) }

    /// What was sent to prepare it has failed or was skipped.
    public mutating func preparationFailed(_ name: PreparedName) {
        if removeFound(name) { return }
        if let index = condemned.firstIndex(of: name) {
            condemned.remove(at: index)
        } else {
            phantoms.append(name)
        }
    }

    /// What was sent to deallocate it was skipped: it is still there, if it ever was.
    public mutating func deallocationSkipped(_ name: PreparedName) {
        if let index = phantoms.firstIndex(of: name) {
            phantoms.remove(at: index)
        } else {
            condemn(name)
        }
    }

    /// False: it cannot be found any more.
    private mutating func removeFound(_ name: PreparedName) -> Bool {
        if unkept == name {
            unkept = nil
        } else if table.removeFirst(where: { $0 == name }) == nil {
            guard let index = own.firstIndex(of: name) else { return false }
            own[index] = nil
        }
        return true
    }

    // MARK: Prism's own statements

    /// - Parameter index: the statement's number, from 0, small.
    public func ownName(_ index: Int) -> PreparedName? { own.indices.contains(index) ? own[index] : nil }

    /// A new name, under which the statement is to be prepared. It is never evicted.
    public mutating func insertOwn(_ index: Int) -> PreparedName {
        let name = nextName()
        guard index >= 0 else { return name }
        while own.count <= index { own.append(nil) }
        own[index] = name
        return name
    }

    /// The statement is not prepared.
    public mutating func removeOwn(_ index: Int) {
        if own.indices.contains(index) { own[index] = nil }
    }

    // MARK: Condemned statements

    /// The statement is prepared and is not to be used any more, because its plan is stale or its deallocation did not happen:
    /// it is not found again, and `takeCondemned` will name it.
    public mutating func condemn(_ name: PreparedName) {
        remove(name)
        condemned.append(name)
    }

    /// Condemns all of Prism's own statements: the schema has changed.
    public mutating func removeAllOwn() {
        for case .some(let name) in own { condemned.append(name) }
        own.removeAll(keepingCapacity: true)
    }

    /// One statement after another that the caller is to deallocate.
    public mutating func takeCondemned() -> PreparedName? { condemned.popLast() }

    private mutating func nextName() -> PreparedName {
        lastNumber &+= 1
        return PreparedName(number: lastNumber)
    }
}
