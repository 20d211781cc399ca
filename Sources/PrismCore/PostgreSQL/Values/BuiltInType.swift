/// The types that have a kind of their own on the wire, or that the encoder knows, by their number in `pg_type.dat`.
/// PostgreSQL never changes the numbers of built-in types.
public enum BuiltInType {
    public static let unspecified: TypeOID = 0
    public static let bool: TypeOID = 16
    public static let bytea: TypeOID = 17
    /// `"char"`, one byte; not `character`.
    public static let char: TypeOID = 18
    public static let name: TypeOID = 19
    public static let int8: TypeOID = 20
    public static let int2: TypeOID = 21
    public static let int4: TypeOID = 23
    public static let text: TypeOID = 25
    public static let oid: TypeOID = 26
    public static let float4: TypeOID = 700
    public static let float8: TypeOID = 701
    /// A literal whose type nobody has said.
    public static let unknown: TypeOID = 705
    public static let bpchar: TypeOID = 1042
    public static let varchar: TypeOID = 1043
    public static let numeric: TypeOID = 1700
    public static let void: TypeOID = 2278
}
