/// What a setting of text may hold.
enum TextRule: Sendable, Equatable {
    case socketPath
    case filePath
    case databasePath
    case group
    case address
    /// Of a backend, or a label: 1 to 64 of `a-z 0-9 - _`.
    case name
    /// Of key-value: 1 to 64 of `a-z 0-9 -`.
    case namespace
    case conninfo
    case sql

    /// `sun_path` has 108 bytes and ends in a NUL (`unix(7)`).
    static let socketPathBytesMax = 107
    /// `PATH_MAX` with its NUL.
    static let filePathBytesMax = 4_095
    static let nameBytesMax = 64
    static let conninfoBytesMax = 4_096
    /// Longer ones are not kept prepared.
    static let sqlBytesMax = 16 << 10

    func check(_ text: String) throws(ValueProblem) {
        if self != .conninfo, self != .sql, text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) {
            throw ValueProblem("\(Printable.quoted(text)) contains control characters", remedy: "remove them")
        }
        switch self {
        case .socketPath: try checkPath(text, bytesMax: Self.socketPathBytesMax, what: "a Unix socket path")
        case .filePath: try checkPath(text, bytesMax: Self.filePathBytesMax, what: "a path")
        case .databasePath: try checkDatabasePath(text)
        case .group: try checkGroup(text)
        case .address: try checkAddress(text)
        case .name: try checkName(text, allowingUnderscore: true)
        case .namespace: try checkName(text, allowingUnderscore: false)
        case .conninfo: try ConnectionString.check(text)
        case .sql: try checkSQL(text)
        }
    }

    /// For the documentation and the schema.
    var summary: String {
        switch self {
        case .socketPath: "path, at most \(Self.socketPathBytesMax) bytes"
        case .filePath, .databasePath: "path"
        case .group: "name or gid"
        case .address: "ADDRESS:PORT"
        case .name: "1–64 of a-z 0-9 - _"
        case .namespace: "1–64 of a-z 0-9 -"
        case .conninfo: "libpq connection string or URL, without a password"
        case .sql: "1–\(Self.sqlBytesMax) bytes of SQL"
        }
    }

    /// A regular expression for the schema, where one says it.
    var pattern: String? {
        switch self {
        case .name: "^[a-z0-9_-]{1,64}$"
        case .namespace: "^[a-z0-9-]{1,64}$"
        case .address: #"^([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$"#
        case .socketPath, .filePath, .databasePath, .group, .conninfo, .sql: nil
        }
    }

    private func checkPath(_ text: String, bytesMax: Int, what: String) throws(ValueProblem) {
        if text.isEmpty { throw ValueProblem("the path is empty", remedy: "give a path, or remove the key") }
        if text.utf8.count > bytesMax {
            throw ValueProblem(
                "\(Printable.quoted(text)) has \(text.utf8.count) bytes, \(what) at most \(bytesMax)",
                remedy: "choose a shorter path")
        }
    }

    private func checkSQL(_ text: String) throws(ValueProblem) {
        if text.utf8.contains(0) { throw ValueProblem("the SQL contains a NUL", remedy: "remove it") }
        if text.utf8.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) {
            throw ValueProblem("the SQL is empty", remedy: "give one statement")
        }
        if text.utf8.count > Self.sqlBytesMax {
            throw ValueProblem(
                "the SQL has \(text.utf8.count) bytes", remedy: "use at most \(Self.sqlBytesMax), or a view or function"
            )
        }
    }

    /// Every connection to a database in memory would see a database of its own.
    private func checkDatabasePath(_ text: String) throws(ValueProblem) {
        try checkPath(text, bytesMax: Self.filePathBytesMax, what: "a path")
        if text.hasPrefix(":memory:") || text.hasPrefix("file:") {
            throw ValueProblem(
                "\(Printable.quoted(text)) is not the path of a file",
                remedy: "give a plain path; for data that need not last, one on tmpfs such as /dev/shm/prism.db")
        }
    }

    private func checkGroup(_ text: String) throws(ValueProblem) {
        if !text.isEmpty, text.utf8.allSatisfy(\.isDigit) {
            // 2^32 - 1 means "no change" to chown(2).
            guard let id = UInt32(text), id < UInt32.max else {
                throw ValueProblem("\(Printable.quoted(text)) is not a gid", remedy: "use 0 to 4294967294")
            }
        } else if text.isEmpty || text.utf8.count > 256 || text.contains(":") || text.contains(" ")
            || text.hasPrefix("-")
        {
            throw ValueProblem("\(Printable.quoted(text)) is not a group", remedy: "give a group's name or its gid")
        }
    }

    private func checkAddress(_ text: String) throws(ValueProblem) {
        if Configuration.TCPAddress(text) == nil {
            throw ValueProblem(
                "\(Printable.quoted(text)) is not a numeric address and a port",
                remedy: "write it as 127.0.0.1:9901, 0.0.0.0:9901 or [::]:9901")
        }
    }

    private func checkName(_ text: String, allowingUnderscore: Bool) throws(ValueProblem) {
        let isAllowed = text.utf8.allSatisfy { byte in
            byte.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "-")
                || (allowingUnderscore && byte == UInt8(ascii: "_"))
        }
        guard isAllowed, (1...Self.nameBytesMax).contains(text.utf8.count) else {
            throw ValueProblem(
                "\(Printable.quoted(text)) is not a valid name",
                remedy: "use 1 to 64 of a-z 0-9 -" + (allowingUnderscore ? " _" : ""))
        }
    }
}
