/// Names of types that are not built in (extensions', enums, composites …), as the server told them. One engine's own.
public struct KnownTypes: Sendable {
    private let typesMax: Int
    private var names: [TypeOID: String] = [:]
    private var oids: [String: TypeOID] = [:]

    /// - Parameter typesMax: most names kept; above it all are forgotten and learned again as they are met.
    public init(typesMax: Int = 1_024) { self.typesMax = max(typesMax, 1) }

    /// How many types are known beside the built-in ones.
    public var count: Int { names.count }

    /// As `format_type` prints it; nil: ask the server, and `learn`.
    public func name(_ oid: TypeOID) -> String? { TypeCatalog.name(oid) ?? names[oid] }

    /// - Parameter name: what a client wrote, or what `name` answered; nil: ask the server (`to_regtype`), and `learn`.
    public func oid(named name: String) -> TypeOID? { TypeCatalog.oid(named: name) ?? oids[name] }

    /// Which of these columns' types the server must be asked for before a row can be answered.
    public func unknown(among columns: [ServerColumn]) -> [TypeOID] {
        var unknown: [TypeOID] = []
        for column in columns where name(column.type) == nil && !unknown.contains(column.type) {
            unknown.append(column.type)
        }
        return unknown
    }

    /// What `format_type` answered for a column's type.
    public mutating func learn(_ oid: TypeOID, name: String) {
        makeRoom()
        names[oid] = name
        oids[name] = oid
    }

    /// What `to_regtype` answered for a name of a client's, which need not be the one that `format_type` prints.
    public mutating func learn(alias: String, _ oid: TypeOID) {
        makeRoom()
        oids[alias] = oid
    }

    /// Types are dropped and made again under other numbers: forget what did not work any more.
    public mutating func forgetAll() {
        names.removeAll()
        oids.removeAll()
    }

    private mutating func makeRoom() {
        if names.count >= typesMax || oids.count >= typesMax { forgetAll() }
    }
}
