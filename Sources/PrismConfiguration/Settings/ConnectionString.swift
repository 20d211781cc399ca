/// A look into libpq's connection strings (PostgreSQL documentation, 34.1.1): well-formed, and without a password.
/// A password in it would show in process lists and files; the messages here never repeat the string.
enum ConnectionString {
    private static let secretKeywords: Set<String> = ["password", "sslpassword"]
    private static let malformed = ValueProblem(
        "it is neither a libpq connection string nor a URL",
        remedy: #"write it as "host=db.example user=app dbname=app" or postgresql://app@db.example/app"#)
    private static let secret = ValueProblem(
        "it contains a password", remedy: "remove it; use password_file or the environment variable PGPASSWORD")

    static func check(_ text: String) throws(ValueProblem) {
        if text.utf8.count > TextRule.conninfoBytesMax {
            throw ValueProblem("it has \(text.utf8.count) bytes", remedy: "use at most \(TextRule.conninfoBytesMax)")
        }
        if text.utf8.contains(0) { throw malformed }
        for scheme in ["postgresql://", "postgres://"] where text.hasPrefix(scheme) {
            return try checkURL(text.dropFirst(scheme.count))
        }
        // Before the syntax: a malformed string must not hide a password in it from its author.
        guard let keywords = keywords(of: text) else { throw malformed }
        if keywords.contains(where: secretKeywords.contains) { throw secret }
    }

    /// The keywords of `key = value` pairs; `nil` if malformed.
    private static func keywords(of text: String) -> [String]? {
        var bytes = Array(text.utf8)[...]
        var keywords: [String] = []
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
        while true {
            bytes = bytes.drop(while: isSpace)
            if bytes.isEmpty { return keywords }
            let keyword = bytes.prefix { $0 != UInt8(ascii: "=") && !isSpace($0) }
            bytes = bytes[keyword.endIndex...].drop(while: isSpace)
            guard !keyword.isEmpty, bytes.first == UInt8(ascii: "=") else { return nil }
            keywords.append(String(decoding: keyword, as: UTF8.self))
            bytes = bytes.dropFirst().drop(while: isSpace)
            let isQuoted = bytes.first == UInt8(ascii: "'")
            if isQuoted { bytes = bytes.dropFirst() }
            while let byte = bytes.first {
                if isQuoted ? byte == UInt8(ascii: "'") : isSpace(byte) { break }
                bytes = bytes.dropFirst(byte == UInt8(ascii: "\\") ? 2 : 1)
            }
            if isQuoted {
                guard bytes.first == UInt8(ascii: "'") else { return nil }
                bytes = bytes.dropFirst()
            }
        }
    }

    /// `user:password@host:port,…/database?keyword=value&…`, without its scheme.
    private static func checkURL(_ rest: Substring) throws(ValueProblem) {
        // libpq looks for the @ before any /, also past a ?; a password with an unescaped / is still a password.
        for authority in [rest.prefix { $0 != "/" }, rest.prefix { $0 != "?" }] {
            if let at = authority.lastIndex(of: "@"), authority[..<at].contains(":") { throw secret }
        }
        guard let question = rest.firstIndex(of: "?") else { return }
        for pair in rest[rest.index(after: question)...].split(separator: "&") {
            guard let keyword = decodePercent(pair.prefix { $0 != "=" }) else { throw malformed }
            if secretKeywords.contains(keyword) { throw secret }
        }
    }

    private static func decodePercent(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte != UInt8(ascii: "%") {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
