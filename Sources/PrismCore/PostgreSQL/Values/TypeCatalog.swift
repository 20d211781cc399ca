/// The built-in types' names, as `format_type` prints them and as people write them.
public enum TypeCatalog {
    /// The number of a built-in type.
    ///
    /// - Parameter name: as SQL takes it, without modifiers and schema: `bigint`, `int8`, `uuid`, `integer[]`, `_int4`, in any
    ///   case. A number of digits only is a type's number itself, as in `regtype`.
    /// - Returns: nil: not a name that this knows; the server may (`to_regtype`).
    public static func oid(named name: String) -> TypeOID? {
        if let known = byName[name] { return known }
        guard let first = name.utf8.first else { return nil }
        if (0x30...0x39).contains(first) { return TypeOID(name).flatMap { $0 == 0 ? nil : $0 } }
        // A quoted name keeps its case; the two built-in ones are in the table as they are.
        guard !name.utf8.contains(UInt8(ascii: "\"")) else { return nil }
        var base = Substring(lowercased(name))
        var isArray = false
        // PostgreSQL keeps no number of dimensions: int4[][] is int4[].
        while base.hasSuffix("[]") {
            base.removeLast(2)
            isArray = true
        }
        guard let element = byName[String(base)] else { return nil }
        return isArray ? arrays[element] : element
    }

    /// A built-in type's name; nil: not built in.
    public static func name(_ oid: TypeOID) -> String? { byOID[oid] }

    private static let byOID = Dictionary(
        builtInTypes.map { ($0.oid, $0.name) }, uniquingKeysWith: { first, _ in first })

    /// Names that neither `format_type` nor the catalogue uses, or uses for another type.
    private static let aliases: [(String, TypeOID)] = [
        ("int", BuiltInType.int4), ("float", BuiltInType.float8), ("decimal", BuiltInType.numeric),
        ("dec", BuiltInType.numeric), ("char", BuiltInType.bpchar), ("char varying", BuiltInType.varchar),
    ]

    private static let byName: [String: TypeOID] = {
        var names: [String: TypeOID] = [:]
        for type in builtInTypes {
            names[type.name] = type.oid
            names[type.catalogName] = type.oid
        }
        // The catalogue's char is "char"; SQL's is character.
        for (alias, oid) in aliases { names[alias] = oid }
        return names
    }()

    /// Array types by their element's.
    private static let arrays: [TypeOID: TypeOID] = {
        var arrays: [TypeOID: TypeOID] = [:]
        for type in builtInTypes where type.name.hasSuffix("[]") {
            if let element = byName[String(type.name.dropLast(2))] { arrays[element] = type.oid }
        }
        return arrays
    }()

    /// SQL folds only the letters of ASCII.
    private static func lowercased(_ name: String) -> String {
        String(decoding: name.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}
