public import PrismWire

/// Prints the parts of a `Query`'s answer as they come: a table for people, tab-separated lines for programs, or JSON.
public struct QueryPrinter {
    public enum Format: Sendable {
        case table
        case tabSeparated
        case json
    }

    private let format: Format
    private let output: StandardOutput
    private var table = TextTable(headings: [])
    private var json = JSONWriter()
    private var isStarted = false
    private var hasColumns = false

    public init(format: Format, output: StandardOutput) {
        self.format = format
        self.output = output
    }

    /// One part; columns stand on the first.
    public mutating func take(_ result: Prism__V1__QueryResult) {
        if !isStarted { start(result) }
        for row in elements(result.rows, result.n_rows) {
            guard let row = row?.pointee else { continue }
            take(row: elements(row.values, row.n_values))
        }
        flushJSON()
    }

    /// After the last part; `result` is that part.
    public mutating func finish(_ result: Prism__V1__QueryResult) {
        switch format {
        case .json:
            json.endArray()
            json.field("tag", result.tag.string)
            json.field("rows_affected", result.rows_affected)
            json.field("complete", true)
            json.endObject()
            flushJSON()
            output.write("\n")
        case .table:
            output.write(table.finish())
            if hasColumns {
                output.write("(\(table.rowCount) \(table.rowCount == 1 ? "row" : "rows"))\n")
            } else {
                output.write(
                    "\(result.tag.string.isEmpty ? "OK" : Printable.terminal(result.tag.string)) \(result.rows_affected)\n"
                )
            }
        case .tabSeparated: break
        }
    }

    /// The answer broke off after some of it was printed: what was printed is left well-formed.
    public mutating func abandon() {
        guard isStarted else { return }
        switch format {
        case .json:
            json.endArray()
            json.field("complete", false)
            json.endObject()
            flushJSON()
            output.write("\n")
        case .table: output.write(table.finish())
        case .tabSeparated: break
        }
    }

    private mutating func start(_ result: Prism__V1__QueryResult) {
        isStarted = true
        hasColumns = result.n_columns > 0
        let columns = elements(result.columns, result.n_columns).compactMap { $0?.pointee }
        switch format {
        case .table: table = TextTable(headings: columns.map { Printable.terminal($0.name.bytes) })
        case .tabSeparated:
            guard hasColumns else { return }
            for (index, column) in columns.enumerated() {
                if index > 0 { output.write("\t") }
                output.write(Printable.tabSeparated(column.name.bytes))
            }
            output.write("\n")
        case .json:
            json.beginObject()
            json.key("columns")
            json.beginArray()
            for column in columns {
                json.beginObject()
                json.field("name", bytes: column.name.bytes)
                json.field("type", bytes: column.type.bytes)
                json.endObject()
            }
            json.endArray()
            json.key("rows")
            json.beginArray()
        }
    }

    private mutating func take(row: UnsafeBufferPointer<UnsafeMutablePointer<Prism__V1__Value>?>) {
        switch format {
        case .table: output.write(table.append(row.map { Self.cell($0?.pointee) }))
        case .tabSeparated:
            for (index, value) in row.enumerated() {
                if index > 0 { output.write("\t") }
                output.write(Self.field(value?.pointee))
            }
            output.write("\n")
        case .json:
            json.beginArray()
            for value in row { appendJSON(value?.pointee) }
            json.endArray()
            if json.bytes.count > 32 << 10 { flushJSON() }
        }
    }

    private mutating func flushJSON() {
        guard format == .json else { return }
        output.write(json.bytes)
        json.removeBytes()
    }

    private mutating func appendJSON(_ value: Prism__V1__Value?) {
        guard let value else { return json.null() }
        switch value.kind_case {
        case PRISM__V1__VALUE__KIND_BOOLEAN: json.bool(value.boolean != 0)
        case PRISM__V1__VALUE__KIND_INTEGER: json.integer(value.integer)
        case PRISM__V1__VALUE__KIND_DOUBLE: json.double(value.double_)
        case PRISM__V1__VALUE__KIND_TEXT: json.string(value.text.string)
        case PRISM__V1__VALUE__KIND_TYPED: json.string(value.typed?.pointee.text.string ?? "")
        case PRISM__V1__VALUE__KIND_BYTES:
            // There is no name to hang a suffix on: bytes are an object of their own, always.
            json.beginObject()
            json.field("base64", Base64.encode(value.bytes.bytes))
            json.endObject()
        default: json.null()
        }
    }

    private static func cell(_ value: Prism__V1__Value?) -> TextTable.Cell {
        guard let value else { return TextTable.Cell("NULL") }
        return switch value.kind_case {
        case PRISM__V1__VALUE__KIND_BOOLEAN: TextTable.Cell(value.boolean != 0 ? "true" : "false")
        case PRISM__V1__VALUE__KIND_INTEGER: TextTable.Cell(String(value.integer), isRightAligned: true)
        case PRISM__V1__VALUE__KIND_DOUBLE: TextTable.Cell("\(value.double_)", isRightAligned: true)
        case PRISM__V1__VALUE__KIND_TEXT: TextTable.Cell(Printable.terminal(value.text.bytes))
        case PRISM__V1__VALUE__KIND_TYPED:
            TextTable.Cell(Printable.terminal(value.typed?.pointee.text.string ?? ""))
        case PRISM__V1__VALUE__KIND_BYTES: TextTable.Cell("\\x" + Printable.hexadecimal(value.bytes.bytes))
        default: TextTable.Cell("NULL")
        }
    }

    private static func field(_ value: Prism__V1__Value?) -> [UInt8] {
        guard let value else { return Array("\\N".utf8) }
        return switch value.kind_case {
        case PRISM__V1__VALUE__KIND_BOOLEAN: Array((value.boolean != 0 ? "true" : "false").utf8)
        case PRISM__V1__VALUE__KIND_INTEGER: Array(String(value.integer).utf8)
        case PRISM__V1__VALUE__KIND_DOUBLE: Array("\(value.double_)".utf8)
        case PRISM__V1__VALUE__KIND_TEXT: Printable.tabSeparated(value.text.bytes)
        case PRISM__V1__VALUE__KIND_TYPED: value.typed.map { Printable.tabSeparated($0.pointee.text.bytes) } ?? []
        // As COPY writes a bytea: the backslash of `\x` is escaped.
        case PRISM__V1__VALUE__KIND_BYTES: Array(("\\\\x" + Printable.hexadecimal(value.bytes.bytes)).utf8)
        default: Array("\\N".utf8)
        }
    }
}
