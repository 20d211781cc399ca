public import PrismWire

/// Parameters of the wire, to parameters as PostgreSQL reads them.
///
/// Each kind has a type that it declares; when the statement cannot be prepared with those, it is prepared with the types left
/// to the server, and the same values are written as those types' input functions read them.
public enum ParameterEncoder {
    /// The type of a parameter, as far as it is known without the server.
    public enum DeclaredType: Equatable, Sendable {
        /// 0: left to the server.
        case known(TypeOID)
        /// A name that is not built in: `KnownTypes` or the server (`to_regtype`) may know it.
        case named(String)
    }

    /// integer: int8; double: float8; boolean: bool; bytes: bytea; text and null: left to the server; typed: the type it names.
    public static func declaredType(of value: Prism__V1__Value) -> DeclaredType {
        switch value.kind_case {
        case PRISM__V1__VALUE__KIND_BOOLEAN: return .known(BuiltInType.bool)
        case PRISM__V1__VALUE__KIND_INTEGER: return .known(BuiltInType.int8)
        case PRISM__V1__VALUE__KIND_DOUBLE: return .known(BuiltInType.float8)
        case PRISM__V1__VALUE__KIND_BYTES: return .known(BuiltInType.bytea)
        case PRISM__V1__VALUE__KIND_TYPED:
            guard let typed = value.typed?.pointee, !typed.type.isEmpty else {
                return .known(BuiltInType.unspecified)
            }
            let name = typed.type.string
            return TypeCatalog.oid(named: name).map { .known($0) } ?? .named(name)
        default: return .known(BuiltInType.unspecified)
        }
    }

    /// Appends one parameter's value.
    ///
    /// - Parameter declared: the type with which the statement was prepared: declared, or what the server inferred; 0: unknown.
    /// - Throws: INVALID_ARGUMENT, naming the parameter by its place in the list: a zero byte in a text, which PostgreSQL
    ///   cannot hold. The list is as before.
    public static func append(
        _ value: UnsafePointer<Prism__V1__Value>, declared: TypeOID, to list: inout ParameterList
    ) throws(Failure) {
        switch value.pointee.kind_case {
        case PRISM__V1__VALUE__KIND_BOOLEAN: append(value.pointee.boolean != 0, declared, to: &list)
        case PRISM__V1__VALUE__KIND_INTEGER:
            if declared == BuiltInType.int8 {
                list.append(value.pointee.integer)
            } else {
                list.append(text: String(value.pointee.integer))
            }
        case PRISM__V1__VALUE__KIND_DOUBLE: append(value.pointee.double_, declared, to: &list)
        case PRISM__V1__VALUE__KIND_TEXT: try append(text: value.pointee.text.bytes, to: &list)
        case PRISM__V1__VALUE__KIND_BYTES: append(value.pointee.bytes.bytes, declared, to: &list)
        case PRISM__V1__VALUE__KIND_TYPED:
            guard let typed = value.pointee.typed?.pointee else {
                list.appendNull()
                return
            }
            try append(text: typed.text.bytes, to: &list)
        default: list.appendNull()
        }
    }

    private static func append(_ boolean: Bool, _ declared: TypeOID, to list: inout ParameterList) {
        guard declared == BuiltInType.bool else {
            list.append(text: boolean ? "true" : "false")
            return
        }
        withUnsafeBytes(of: UInt8(boolean ? 1 : 0)) { list.append(binary: $0) }
    }

    private static func append(_ double: Double, _ declared: TypeOID, to list: inout ParameterList) {
        guard declared == BuiltInType.float8 else {
            list.append(text: text(of: double))
            return
        }
        withUnsafeBytes(of: double.bitPattern.bigEndian) { list.append(binary: $0) }
    }

    /// The shortest text that is read as the same double again.
    static func text(of double: Double) -> String {
        if double.isNaN { return "NaN" }
        if double.isInfinite { return double < 0 ? "-Infinity" : "Infinity" }
        return double.description
    }

    private static func append(_ bytes: UnsafeRawBufferPointer, _ declared: TypeOID, to list: inout ParameterList) {
        // "char" too: its one byte may be any, and in text would be the backslash.
        if declared == BuiltInType.bytea || (declared == BuiltInType.char && bytes.count == 1) {
            list.append(binary: bytes)
            return
        }
        var text: [UInt8] = []
        ByteaText.appendHexadecimal(bytes, to: &text)
        text.withUnsafeBytes { list.append(text: $0) }
    }

    private static func append(text: UnsafeRawBufferPointer, to list: inout ParameterList) throws(Failure) {
        guard !text.contains(0) else {
            throw Failure(
                .invalidArgument, at: .execute,
                "parameter \(list.count + 1): the text contains a zero byte, which PostgreSQL's text types cannot hold; send it as bytes, to a column of type bytea"
            )
        }
        list.append(text: text)
    }
}
