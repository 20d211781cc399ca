import Glibc
import Testing

/// Holds a table between two marks of a page against what the program has; with UPDATE_DOCS set it is written instead.
enum DocumentTable {
    static func hold(_ page: String, _ marker: String, _ table: String, root: String = #filePath) throws {
        let path = "\(root.components(upTo: "/Tests/"))/\(page)"
        let text = try #require(read(path))
        let begin = "<!-- \(marker):begin -->\n"
        let end = "<!-- \(marker):end -->"
        let first = try #require(text.firstRange(of: begin)).upperBound
        let last = try #require(text.firstRange(of: end)).lowerBound
        if getenv("UPDATE_DOCS") != nil {
            write(String(text[..<first]) + table + String(text[last...]), path)
        } else {
            #expect(
                text[first..<last] == table,
                "out of date; run UPDATE_DOCS=1 swift test --no-parallel --filter 'SQLState|Outcome|StatusMapping'")
        }
    }

    /// `1s`, `50ms`.
    static func duration(_ microseconds: UInt64?) -> String {
        guard let microseconds else { return "" }
        return microseconds % 1_000_000 == 0 ? "\(microseconds / 1_000_000)s" : "\(microseconds / 1_000)ms"
    }

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private static func write(_ text: String, _ path: String) {
        guard let file = fopen(path, "w") else { return }
        fputs(text, file)
        fclose(file)
    }
}

extension String {
    fileprivate func components(upTo mark: String) -> String {
        firstRange(of: mark).map { String(self[..<$0.lowerBound]) } ?? self
    }
}
