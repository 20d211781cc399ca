import PrismCore
import PrismWire
import Testing

@Suite struct ResultBuilderTests {
    private let arena = Arena(limitBytes: 1 << 20)

    /// nil: NULL.
    private func append(_ values: [[UInt8]?], of columns: ServerColumns, to builder: inout ResultBuilder) throws {
        let all: [UInt8] = values.flatMap { value -> [UInt8] in (value ?? []) + [0] }
        try all.withUnsafeBytes { all in
            var offset = 0
            let borrowed = values.map { value -> UnsafeRawBufferPointer in
                guard let value else {
                    offset += 1
                    return UnsafeRawBufferPointer(start: nil, count: 0)
                }
                defer { offset += value.count + 1 }
                return UnsafeRawBufferPointer(rebasing: all[offset..<offset + value.count])
            }
            try borrowed.withUnsafeBufferPointer { try builder.append(ServerRow(columns: columns, values: $0)) }
        }
    }

    @Test("rows, columns, type names and tag arrive where the client reads them")
    func wholeResult() throws {
        var types = KnownTypes()
        types.learn(16_400, name: "mood")
        let columns = ServerColumns(
            [
                ServerColumn(name: "id", type: 23), ServerColumn(name: "now", type: 16_400),
                ServerColumn(name: "odd", type: 16_999),
            ], format: .text)
        var builder = try ResultBuilder(columns, types: types, in: arena)
        try append([Array("7".utf8), Array("happy".utf8), nil], of: columns, to: &builder)
        try append([nil, nil, Array("x".utf8)], of: columns, to: &builder)
        #expect(builder.rowCount == 2)
        let result = try builder.result(hasColumns: true, tag: CommandTag("INSERT 0 2")).pointee
        #expect(elements(result.columns, result.n_columns).map { $0?.pointee.name.string } == ["id", "now", "odd"])
        #expect(
            elements(result.columns, result.n_columns).map { $0?.pointee.type.string } == ["integer", "mood", "16999"])
        let rows = elements(result.rows, result.n_rows).map { row in
            row.map { elements($0.pointee.values, $0.pointee.n_values).map { $0.flatMap { PlainValue($0.pointee) } } }
        }
        #expect(
            rows == [
                [.integer(7), .typed("mood", "happy"), .null], [.null, .null, .typed("16999", "x")],
            ])
        #expect(result.tag.string == "INSERT" && result.rows_affected == 2)
    }

    @Test("the bytes that it counts are near those on the wire, and never far fewer")
    func sizes() throws {
        let columns = ServerColumns(
            [
                ServerColumn(name: "a", type: 20), ServerColumn(name: "b", type: 25), ServerColumn(name: "c", type: 17),
            ], format: .binary)
        var builder = try ResultBuilder(columns, types: KnownTypes(), in: arena)
        for _ in 0..<10 {
            try append(
                [bigEndian(Int64.min), Array(repeating: 0x61, count: 1_000), Array(repeating: 0, count: 500)],
                of: columns, to: &builder)
        }
        let packed = prism__v1__query_result__get_packed_size(try builder.result(hasColumns: false, tag: nil))
        #expect(packed <= builder.bytes && builder.bytes <= packed + 10 * 40)
    }

    @Test("a later part has neither columns nor tag, and a command without rows has neither columns nor rows")
    func parts() throws {
        let columns = ServerColumns([ServerColumn(name: "a", type: 25)], format: .text)
        var builder = try ResultBuilder(columns, types: KnownTypes(), in: arena)
        try append([Array("x".utf8)], of: columns, to: &builder)
        let part = try builder.result(hasColumns: false, tag: nil).pointee
        #expect(part.n_columns == 0 && part.n_rows == 1 && part.tag.isEmpty)
        let none = try ResultBuilder(nil, types: KnownTypes(), in: arena)
            .result(hasColumns: true, tag: CommandTag("CREATE TABLE")).pointee
        #expect(none.n_columns == 0 && none.n_rows == 0 && none.tag.string == "CREATE" && none.rows_affected == 0)
    }

    @Test("a full arena is RESOURCE_EXHAUSTED; what contradicts the description is INTERNAL")
    func failures() throws {
        let columns = ServerColumns([ServerColumn(name: "a", type: 20)], format: .binary)
        var builder = try ResultBuilder(columns, types: KnownTypes(), in: arena)
        let short = #expect(throws: Failure.self) { try append([[1, 2]], of: columns, to: &builder) }
        #expect(short?.code == .internal)
        let tooMany = #expect(throws: Failure.self) {
            try append([bigEndian(Int64(1)), nil], of: columns, to: &builder)
        }
        #expect(tooMany?.code == .internal)
        #expect(builder.rowCount == 0)
        let text = ServerColumns([ServerColumn(name: "a", type: 25)], format: .text)
        var filling = try ResultBuilder(text, types: KnownTypes(), in: Arena(limitBytes: 4 << 10))
        var full: Failure?
        for _ in 0..<100 {
            do { try append([Array(repeating: 0x61, count: 100)], of: text, to: &filling) } catch {
                full = error as? Failure
                break
            }
        }
        #expect(full?.code == .resourceExhausted)
        #expect(filling.rowCount > 0)
    }

    @Test(
        "the tag is the first word; the number counts only what was changed",
        arguments: [
            ("INSERT 0 3", "INSERT", 3), ("UPDATE 2", "UPDATE", 2), ("DELETE 0", "DELETE", 0), ("MERGE 4", "MERGE", 4),
            ("SELECT 5", "SELECT", 0), ("CREATE TABLE", "CREATE", 0), ("", "", 0), ("UPDATE x", "UPDATE", 0),
        ] as [(String, String, UInt64)])
    func tags(_ text: String, _ word: String, _ rows: UInt64) {
        let tag = CommandTag(text)
        #expect(tag.word == word && tag.rowsAffected == rows)
    }
}
