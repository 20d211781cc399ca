public import PrismWire

/// Prints the parts of a `Scan`'s answer as they come.
public struct ScanPrinter {
    private let format: QueryPrinter.Format
    private let isKeysOnly: Bool
    private let output: StandardOutput
    private var table: TextTable
    private var json = JSONWriter()
    private var isStarted = false

    public init(format: QueryPrinter.Format, isKeysOnly: Bool, output: StandardOutput) {
        self.format = format
        self.isKeysOnly = isKeysOnly
        self.output = output
        table = TextTable(headings: isKeysOnly ? ["key", "version"] : ["key", "value", "version", "expires"])
    }

    public mutating func take(_ result: Prism__V1__ScanResult) {
        start()
        for entry in elements(result.entries, result.n_entries) {
            if let entry = entry?.pointee { take(entry) }
        }
        flushJSON()
    }

    /// After the last part; `result` is that part.
    public mutating func finish(_ result: Prism__V1__ScanResult) {
        end(cursor: result.cursor.isEmpty ? nil : Base64.encode(result.cursor.bytes), isComplete: true)
    }

    /// The answer broke off after some of it was printed.
    public mutating func abandon() {
        if isStarted { end(cursor: nil, isComplete: false) }
    }

    private mutating func end(cursor: String?, isComplete: Bool) {
        switch format {
        case .json:
            json.endArray()
            json.key("cursor")
            if let cursor { json.string(cursor) } else { json.null() }
            json.field("complete", isComplete)
            json.endObject()
            flushJSON()
            output.write("\n")
        case .table:
            output.write(table.finish())
            output.write("(\(table.rowCount) \(table.rowCount == 1 ? "entry" : "entries"))\n")
            if let cursor { output.write("there may be more: --cursor \(cursor)\n") }
        case .tabSeparated: break
        }
    }

    private mutating func start() {
        guard !isStarted else { return }
        isStarted = true
        guard format == .json else { return }
        json.beginObject()
        json.key("entries")
        json.beginArray()
    }

    private mutating func take(_ entry: Prism__V1__Entry) {
        switch format {
        case .json:
            json.beginObject()
            json.field("key", bytes: entry.key.bytes)
            if !isKeysOnly { json.field("value", bytes: entry.value.bytes) }
            json.field("version", entry.version)
            json.field("expires_at_milliseconds", entry.expires_at_milliseconds)
            json.endObject()
            if json.bytes.count > 32 << 10 { flushJSON() }
        case .table:
            var row = [TextTable.Cell(Printable.terminal(entry.key.bytes))]
            if !isKeysOnly { row.append(TextTable.Cell(Printable.terminal(entry.value.bytes))) }
            row.append(TextTable.Cell(String(entry.version), isRightAligned: true))
            if !isKeysOnly { row.append(TextTable.Cell(TimeText.utc(milliseconds: entry.expires_at_milliseconds))) }
            output.write(table.append(row))
        case .tabSeparated:
            output.write(Printable.tabSeparated(entry.key.bytes))
            if !isKeysOnly {
                output.write("\t")
                output.write(Printable.tabSeparated(entry.value.bytes))
            }
            output.write("\n")
        }
    }

    private mutating func flushJSON() {
        guard format == .json else { return }
        output.write(json.bytes)
        json.removeBytes()
    }
}
