public import PrismWire

/// What results say of their columns, and what is needed to write a row of them; made once for all executions of a statement.
public final class ResultColumns: @unchecked Sendable {
    struct Column: Sendable {
        let type: TypeOID
        let typeName: String
    }

    /// Of a command without rows.
    static let none = ResultColumns([], .text, types: KnownTypes())

    let columns: [Column]
    let format: ValueFormat
    /// As fields of a `QueryResult`.
    public let fields: KeptBytes

    /// - Parameter types: should know the types of all columns (`KnownTypes.unknown`); one that it does not know is named by its
    ///   number.
    public static func of(_ columns: ServerColumns?, types: KnownTypes) -> ResultColumns {
        guard let columns else { return none }
        return columns.described ?? ResultColumns(columns.columns, columns.format, types: types)
    }

    init(_ source: [ServerColumn], _ format: ValueFormat, types: KnownTypes) {
        columns = source.map { Column(type: $0.type, typeName: types.name($0.type) ?? String($0.type)) }
        self.format = format
        var fields = ByteQueue()
        for (source, column) in zip(source, columns) {
            var name = source.name
            var type = column.typeName
            name.withUTF8 { name in
                type.withUTF8 { type in
                    ResultWriter.appendColumn(
                        name: UnsafeRawBufferPointer(name), type: UnsafeRawBufferPointer(type), to: &fields)
                }
            }
        }
        self.fields = KeptBytes(fields.bytes)
    }
}

extension ResultWriter {
    /// Writes one row.
    ///
    /// - Parameter bytesMax: of all rows together.
    /// - Throws: RESOURCE_EXHAUSTED: more; INTERNAL: the server sent what its own description does not allow.
    public mutating func append(_ row: ServerRow, _ columns: ResultColumns, bytesMax: Int) throws(Failure) {
        try append(row.values, columns, bytesMax: bytesMax)
    }

    mutating func append(
        _ values: UnsafeBufferPointer<UnsafeRawBufferPointer>, _ columns: ResultColumns, bytesMax: Int
    ) throws(Failure) {
        let count = columns.columns.count
        guard values.count == count else {
            throw Self.malformed("the server sent \(values.count) values for \(count) columns")
        }
        let size = values.reduce(byteCount) { $0 + $1.count }
        guard size <= bytesMax else { throw .answerTooLarge(bytes: size, above: bytesMax) }
        beginRow()
        for (index, column) in columns.columns.enumerated() {
            let value = values[index]
            guard
                ValueDecoder.append(
                    value, type: column.type, format: columns.format, typeName: column.typeName, to: &self)
            else {
                dropRow()
                throw Self.malformed(
                    "the server sent \(value.count) bytes for column \(index + 1) that are not a \(column.typeName)")
            }
        }
        endRow()
    }

    private static func malformed(_ message: String) -> Failure {
        Failure(.internal, at: .execute, outcome: .unknown, message)
    }
}
