/// Rows in aligned columns, as psql draws them.
///
/// The first rows set the widths, then rows are given out as they come: memory stays bounded however long the answer.
public struct TextTable {
    /// Rows that are looked at before the first one is printed.
    public static let measuredRowsMax = 1_000
    /// A wider cell pushes its neighbours to the right instead of widening every row.
    public static let columnWidthMax = 60

    private let headings: [String]
    private var waiting: [[Cell]] = []
    private var widths: [Int]
    private var isStarted = false
    public private(set) var rowCount = 0

    public struct Cell: Equatable, Sendable {
        public var text: String
        public var isRightAligned: Bool

        public init(_ text: String, isRightAligned: Bool = false) {
            self.text = text
            self.isRightAligned = isRightAligned
        }
    }

    public init(headings: [String]) {
        self.headings = headings
        widths = headings.map { min($0.count, Self.columnWidthMax) }
    }

    /// Takes a row; answers text when there is some to print.
    public mutating func append(_ row: [Cell]) -> String {
        rowCount += 1
        if isStarted { return line(row) }
        waiting.append(row)
        for (index, cell) in row.enumerated() where index < widths.count {
            widths[index] = max(widths[index], min(cell.text.count, Self.columnWidthMax))
        }
        return waiting.count == Self.measuredRowsMax ? start() : ""
    }

    /// What has not been printed yet.
    public mutating func finish() -> String {
        isStarted ? "" : start()
    }

    private mutating func start() -> String {
        isStarted = true
        defer { waiting = [] }
        guard !headings.isEmpty else { return "" }
        let rule = widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "+")
        return line(headings.map { Cell($0) }) + rule + "\n" + waiting.map { line($0) }.joined()
    }

    private func line(_ row: [Cell]) -> String {
        var text = ""
        for (index, cell) in row.enumerated() {
            let width = index < widths.count ? widths[index] : 0
            let padding = String(repeating: " ", count: max(0, width - cell.text.count))
            text += index == 0 ? " " : " | "
            text += cell.isRightAligned ? padding + cell.text : cell.text + padding
        }
        while text.last == " " { text.removeLast() }
        return text + "\n"
    }
}
