import PrismCore
import PrismWire
import Testing

@Suite struct ResultWriterTests {
    private let arena = Arena(limitBytes: 64 << 20)

    /// nil: NULL.
    private func append(
        _ values: [[UInt8]?], of columns: ServerColumns, _ types: KnownTypes = KnownTypes(),
        to writer: inout ResultWriter, bytesMax: Int = 1 << 20
    ) throws {
        let all: [UInt8] = values.flatMap { value -> [UInt8] in (value ?? []) + [0] }
        let described = ResultColumns.of(columns, types: types)
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
            try borrowed.withUnsafeBufferPointer {
                try writer.append(ServerRow(columns: columns, values: $0), described, bytesMax: bytesMax)
            }
        }
    }

    private func written(
        _ writer: borrowing ResultWriter, _ columns: ResultColumns?, _ tag: CommandTag?,
        as place: ResultWriter.Place = .response
    ) -> [UInt8] {
        var output = ByteQueue()
        let columns = columns.map { $0.fields.withBytes { Array($0) } } ?? []
        let word = Array((tag?.word ?? "").utf8)
        columns.withUnsafeBytes { columns in
            word.withUnsafeBytes { word in
                writer.write(
                    in: place, columns: columns, tag: word, rowsAffected: tag?.rowsAffected ?? 0, to: &output)
            }
        }
        let bytes = Array(output.bytes)
        #expect(
            bytes.count
                == writer.writtenBytes(
                    in: place, columns: columns.count, tag: word.count, rowsAffected: tag?.rowsAffected ?? 0))
        return bytes
    }

    /// As a client reads it.
    private func read(_ bytes: [UInt8]) throws -> Prism__V1__Response {
        try #require(prism__v1__response__unpack(arena.allocator, bytes.count, bytes)).pointee
    }

    private func query(
        _ writer: borrowing ResultWriter, _ columns: ResultColumns?, _ tag: CommandTag?
    ) throws -> Prism__V1__QueryResult {
        let bytes = written(writer, columns, tag)
        let response = try read(bytes)
        #expect(response.payload_case == PRISM__V1__RESPONSE__PAYLOAD_QUERY)
        // Byte for byte what the library writes.
        var same = response
        #expect(prism__v1__response__get_packed_size(&same) == bytes.count)
        var packed = [UInt8](repeating: 0, count: bytes.count)
        prism__v1__response__pack(&same, &packed)
        #expect(packed == bytes)
        return try #require(response.query).pointee
    }

    private func rows(_ result: Prism__V1__QueryResult) -> [[PlainValue?]?] {
        elements(result.rows, result.n_rows).map { row in
            row.map { elements($0.pointee.values, $0.pointee.n_values).map { $0.flatMap { PlainValue($0.pointee) } } }
        }
    }

    @Test("rows, columns, type names and tag arrive where the client reads them")
    func wholeResult() throws {
        var types = KnownTypes()
        types.learn(16_400, name: "mood")
        let columns = ServerColumns(
            [
                ServerColumn(name: "id", type: 23), ServerColumn(name: "now", type: 16_400),
                ServerColumn(name: "", type: 16_999),
            ], format: .text)
        var writer = ResultWriter()
        try append([Array("7".utf8), Array("happy".utf8), nil], of: columns, types, to: &writer)
        try append([nil, nil, []], of: columns, types, to: &writer)
        let described = ResultColumns.of(columns, types: types)
        let result = try query(writer, described, CommandTag("INSERT 0 2"))
        #expect(elements(result.columns, result.n_columns).map { $0?.pointee.name.string } == ["id", "now", ""])
        #expect(
            elements(result.columns, result.n_columns).map { $0?.pointee.type.string } == ["integer", "mood", "16999"])
        #expect(
            rows(result) == [
                [.integer(7), .typed("mood", "happy"), .null], [.null, .null, .typed("16999", "")],
            ])
        #expect(result.tag.string == "INSERT" && result.rows_affected == 2)
    }

    @Test("rows of every length, in whatever order, keep theirs")
    func lengths() throws {
        let columns = ServerColumns([ServerColumn(name: "a", type: 25)], format: .text)
        var writer = ResultWriter()
        let counts = [
            0, 1, 120, 121, 122, 123, 127, 128, 5, 16_370, 16_384, 3, 200_000, 130, 16_375, 16_380, 0, 2_097_152,
        ]
        for count in counts {
            try append([Array(repeating: 0x61, count: count)], of: columns, to: &writer, bytesMax: 1 << 24)
        }
        let result = try query(writer, nil, nil)
        let read = rows(result).map { row -> Int? in
            guard case .text(let text)?? = row?.first else { return nil }
            return text.utf8.count
        }
        #expect(read == counts)
    }

    @Test("a later part has neither columns nor tag, and a command without rows has neither columns nor rows")
    func parts() throws {
        let columns = ServerColumns([ServerColumn(name: "a", type: 25)], format: .text)
        var writer = ResultWriter()
        try append([Array("x".utf8)], of: columns, to: &writer)
        let part = try query(writer, nil, nil)
        #expect(part.n_columns == 0 && part.n_rows == 1 && part.tag.isEmpty)
        writer.removeAll()
        let none = try query(writer, ResultColumns.of(nil, types: KnownTypes()), CommandTag("CREATE TABLE"))
        #expect(none.n_columns == 0 && none.n_rows == 0 && none.tag.string == "CREATE" && none.rows_affected == 0)
    }

    @Test("results of a batch stand in it one after another")
    func batches() throws {
        let columns = ServerColumns([ServerColumn(name: "a", type: 20)], format: .binary)
        let described = ResultColumns.of(columns, types: KnownTypes())
        var writer = ResultWriter()
        var results: [UInt8] = []
        for index in 0..<300 {
            writer.removeAll()
            try append([bigEndian(Int64(index))], of: columns, to: &writer)
            results += written(writer, described, CommandTag("UPDATE \(index)"), as: .batch)
        }
        var output = ByteQueue()
        results.withUnsafeBytes { ResultWriter.writeBatch($0, to: &output) }
        #expect(output.count == ResultWriter.batchBytes(results.count))
        let response = try read(Array(output.bytes))
        #expect(response.payload_case == PRISM__V1__RESPONSE__PAYLOAD_BATCH)
        let batch = try #require(response.batch).pointee
        let read = elements(batch.results, batch.n_results).map { result in result.map { rows($0.pointee) } }
        #expect(read == (0..<300).map { [[.integer(Int64($0))]] })
        #expect(batch.results[299]?.pointee.rows_affected == 299)
    }

    @Test("columns of built-in types are described once; names of others are asked for each time")
    func descriptions() {
        var types = KnownTypes()
        let known = ServerColumns([ServerColumn(name: "a", type: 25)], format: .text)
        #expect(ResultColumns.of(known, types: types) === ResultColumns.of(known, types: types))
        let other = ServerColumns([ServerColumn(name: "a", type: 16_400)], format: .text)
        let before = ResultColumns.of(other, types: types).fields.withBytes { Array($0) }
        types.learn(16_400, name: "mood")
        #expect(ResultColumns.of(other, types: types).fields.withBytes { Array($0) } != before)
    }

    @Test(
        "more than may be is RESOURCE_EXHAUSTED; what contradicts the description is INTERNAL; neither leaves anything")
    func failures() throws {
        let columns = ServerColumns(
            [ServerColumn(name: "a", type: 20), ServerColumn(name: "b", type: 20)], format: .binary)
        var writer = ResultWriter()
        for values: [[UInt8]?] in [[bigEndian(Int64(1)), [1, 2]], [bigEndian(Int64(1))]] {
            let short = #expect(throws: Failure.self) { try append(values, of: columns, to: &writer) }
            #expect(short?.code == .internal)
        }
        #expect(writer.byteCount == 0)
        let text = ServerColumns([ServerColumn(name: "a", type: 25)], format: .text)
        var full: Failure?
        var appended = 0
        for _ in 0..<100 {
            do {
                try append([Array(repeating: 0x61, count: 100)], of: text, to: &writer, bytesMax: 4 << 10)
                appended += 1
            } catch {
                full = error as? Failure
                break
            }
        }
        #expect(full?.code == .resourceExhausted)
        let result = try query(writer, nil, nil)
        #expect(appended > 30 && rows(result).count == appended)
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
