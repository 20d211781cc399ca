public import PrismWire

/// Builds one `QueryResult` (a whole one, or one part of a stream) in an arena, row by row. Void when the arena is reset.
public struct ResultBuilder {
    /// Of the rows so far, about as many as they have on the wire.
    public private(set) var bytes = 0
    public var rowCount: Int { rows.count }

    private let arena: Arena
    private let columns: [ServerColumn]
    private let format: ValueFormat
    /// In the arena, one a column.
    private let typeNames: [ProtobufCBinaryData]
    private var rows: [UnsafeMutablePointer<Prism__V1__Row>] = []

    /// - Parameters:
    ///   - columns: of the command's rows; nil: it returns none.
    ///   - types: should know the types of all columns (`KnownTypes.unknown`); one that it does not know is named by its number.
    /// - Throws: RESOURCE_EXHAUSTED: the arena is full.
    public init(_ columns: ServerColumns?, types: KnownTypes, in arena: Arena) throws(Failure) {
        self.arena = arena
        self.columns = columns?.columns ?? []
        format = columns?.format ?? .text
        var typeNames: [ProtobufCBinaryData] = []
        typeNames.reserveCapacity(self.columns.count)
        for column in self.columns {
            guard let name = arena.copy(types.name(column.type) ?? String(column.type)) else { throw Self.arenaFull }
            typeNames.append(name)
        }
        self.typeNames = typeNames
    }

    /// Copies one row into the arena.
    ///
    /// - Throws: RESOURCE_EXHAUSTED: the arena is full; INTERNAL: the server sent what its own description does not allow.
    public mutating func append(_ row: ServerRow) throws(Failure) {
        let count = columns.count
        guard row.values.count == count else {
            throw Self.malformed("the server sent \(row.values.count) values for \(count) columns")
        }
        guard let values = arena.allocate(Prism__V1__Value.self, count: count),
            let pointers = arena.allocate(UnsafeMutablePointer<Prism__V1__Value>?.self, count: count),
            let packed = arena.allocate(Prism__V1__Row.self)
        else { throw Self.arenaFull }
        var size = 4
        for index in 0..<count {
            let type = columns[index].type
            let isDecoded = ValueDecoder.decode(
                row.values[index], type: type, format: format, typeName: typeNames[index], into: values + index,
                in: arena)
            guard isDecoded else { throw failure(row.values[index], of: index) }
            pointers[index] = values + index
            size += 10
            switch values[index].kind_case {
            case PRISM__V1__VALUE__KIND_TEXT: size += values[index].text.len
            case PRISM__V1__VALUE__KIND_BYTES: size += values[index].bytes.len
            case PRISM__V1__VALUE__KIND_TYPED: size += row.values[index].count + typeNames[index].len + 8
            default: break
            }
        }
        prism__v1__row__init(packed)
        packed.pointee.values = pointers
        packed.pointee.n_values = count
        rows.append(packed)
        bytes += size
    }

    /// The result with all rows so far.
    ///
    /// - Parameters:
    ///   - hasColumns: columns stand on a result's first part only.
    ///   - tag: on its last part only; nil: another part follows.
    /// - Throws: RESOURCE_EXHAUSTED: the arena is full.
    public func result(hasColumns: Bool, tag: CommandTag?) throws(Failure) -> UnsafeMutablePointer<
        Prism__V1__QueryResult
    > {
        guard let result = arena.allocate(Prism__V1__QueryResult.self),
            let pointers = arena.allocate(UnsafeMutablePointer<Prism__V1__Row>?.self, count: rows.count)
        else { throw Self.arenaFull }
        prism__v1__query_result__init(result)
        for (index, row) in rows.enumerated() { pointers[index] = row }
        result.pointee.rows = pointers
        result.pointee.n_rows = rows.count
        if hasColumns { try describe(result) }
        if let tag {
            guard let word = arena.copy(tag.word) else { throw Self.arenaFull }
            result.pointee.tag = word
            result.pointee.rows_affected = tag.rowsAffected
        }
        return result
    }

    private func describe(_ result: UnsafeMutablePointer<Prism__V1__QueryResult>) throws(Failure) {
        guard let described = arena.allocate(Prism__V1__Column.self, count: columns.count),
            let pointers = arena.allocate(UnsafeMutablePointer<Prism__V1__Column>?.self, count: columns.count)
        else { throw Self.arenaFull }
        for (index, column) in columns.enumerated() {
            prism__v1__column__init(described + index)
            guard let name = arena.copy(column.name) else { throw Self.arenaFull }
            described[index].name = name
            described[index].type = typeNames[index]
            pointers[index] = described + index
        }
        result.pointee.columns = pointers
        result.pointee.n_columns = columns.count
    }

    private func failure(_ bytes: UnsafeRawBufferPointer, of index: Int) -> Failure {
        guard ValueDecoder.isWellFormed(bytes, type: columns[index].type, format: format) else {
            return Self.malformed(
                "the server sent \(bytes.count) bytes for column \(index + 1) that are not a \(typeNames[index].string)"
            )
        }
        return Self.arenaFull
    }

    private static func malformed(_ message: String) -> Failure {
        Failure(.internal, at: .execute, outcome: .unknown, message)
    }

    private static var arenaFull: Failure {
        Failure(
            .resourceExhausted, at: .execute,
            "the answer needs more memory than limits.result_bytes and limits.decode_bytes allow; ask for less at a time"
        )
    }
}
