import CPostgreSQL
import Foundation
import PrismCore

/// One connection that runs Prism's statements as the engine does, only that it waits. Belongs to one thread at a time.
final class Session: @unchecked Sendable {
    struct Refused: Error, CustomStringConvertible {
        let sqlState: String
        let description: String
    }
    typealias Row = [[UInt8]?]

    private let connection: OpaquePointer
    private var prepared: Set<PostgreSQLStatement> = []

    convenience init(_ database: StatementDatabase) throws { try self.init(conninfo: database.conninfo) }

    init(conninfo: String) throws {
        connection = PQconnectdb("\(conninfo) options='-c client_min_messages=warning'")
        guard PQstatus(connection) == CONNECTION_OK else {
            throw Refused(sqlState: "", description: String(cString: PQerrorMessage(connection)))
        }
    }

    deinit { PQfinish(connection) }

    var processIdentifier: Int32 { PQbackendPID(connection) }

    /// Any SQL; the rows of its last statement, as text.
    @discardableResult
    func execute(_ sql: String) throws -> [Row] { try take(PQexec(connection, sql)).rows }

    /// The first column of its first row.
    func text(_ sql: String) throws -> String {
        String(decoding: try execute(sql).first?.first.flatMap(\.self) ?? [], as: UTF8.self)
    }

    @discardableResult
    func run(_ statement: PostgreSQLStatement, _ fill: (inout ParameterList) -> Void) throws -> [Row] {
        try result(statement, fill).rows
    }

    /// How many rows a statement without rows has changed.
    func changed(_ statement: PostgreSQLStatement, _ fill: (inout ParameterList) -> Void) throws -> Int {
        try result(statement, fill).changed
    }

    private func result(_ statement: PostgreSQLStatement, _ fill: (inout ParameterList) -> Void) throws
        -> (rows: [Row], changed: Int)
    {
        let name = "own_\(statement)"
        if prepared.insert(statement).inserted {
            _ = try take(PQprepare(connection, name, statement.sql, Int32(statement.types.count), statement.types))
        }
        var parameters = ParameterList()
        fill(&parameters)
        var values: [UnsafePointer<CChar>?] = []
        var lengths: [Int32] = []
        var formats: [Int32] = []
        var kept: [UnsafeMutablePointer<CChar>] = []
        defer { for copy in kept { copy.deallocate() } }
        func append(_ value: UnsafeRawBufferPointer?, _ format: ValueFormat) {
            formats.append(Int32(format.rawValue))
            lengths.append(Int32(value?.count ?? 0))
            guard let value else { return values.append(nil) }
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: value.count + 1)
            copy[value.count] = 0
            UnsafeMutableRawBufferPointer(start: copy, count: value.count).copyMemory(from: value)
            kept.append(copy)
            values.append(UnsafePointer(copy))
        }
        parameters.forEach(append)
        return try take(PQexecPrepared(connection, name, Int32(values.count), values, lengths, formats, 1))
    }

    private func take(_ result: OpaquePointer?) throws -> (rows: [Row], changed: Int) {
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK: break
        default:
            let state = PQresultErrorField(result, Int32(UInt8(ascii: "C"))).map { String(cString: $0) } ?? ""
            throw Refused(sqlState: state, description: String(cString: PQerrorMessage(connection)))
        }
        let rows = (0..<PQntuples(result)).map { row in
            (0..<PQnfields(result)).map { column -> [UInt8]? in
                guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column) else {
                    return nil
                }
                return Array(UnsafeRawBufferPointer(start: value, count: Int(PQgetlength(result, row, column))))
            }
        }
        return (rows, Int(String(cString: PQcmdTuples(result))) ?? 0)
    }
}

// The operations, with the smallest of signatures.
extension Session {
    static let namespace = "default"

    func put(_ key: String, _ value: String, ttl: Int64 = 0) throws -> Int64? {
        try put(.putAlways, key, value, ttl: ttl)
    }

    func put(_ statement: PostgreSQLStatement, _ key: String, _ value: String, ttl: Int64 = 0, version: Int64? = nil)
        throws -> Int64?
    {
        try run(statement) {
            $0.address(key)
            $0.append(bytes: value)
            $0.append(ttl)
            if let version { $0.append(version) }
        }.first?.integer(0)
    }

    /// On the entry alone: get, delete, touch …
    func one(_ statement: PostgreSQLStatement, _ key: String, _ more: Int64...) throws -> Row? {
        try run(statement) {
            $0.address(key)
            for number in more { $0.append(number) }
        }.first
    }

    func increment(_ key: String, _ delta: Int64 = 1, ttl: Int64 = 0) throws -> (
        version: Int64?, value: [UInt8]?, done: Bool
    ) {
        let row = try one(.increment, key, delta, ttl)
        return (row?.integer(0), row?[1], row?[2] == [1])
    }

    /// Whether somebody waits for what `holder` has locked.
    func isSomebodyWaiting(for holder: Session) throws -> Bool {
        try text(
            "SELECT count(*) FROM pg_stat_activity WHERE \(holder.processIdentifier) = ANY (pg_blocking_pids(pid))")
            != "0"
    }
}

extension ParameterList {
    mutating func append(bytes text: String) {
        var text = text
        text.withUTF8 { append(binary: UnsafeRawBufferPointer($0)) }
    }

    mutating func address(_ key: String) {
        append(text: Session.namespace)
        append(bytes: key)
    }
}

extension Session.Row {
    func integer(_ column: Int) -> Int64? {
        guard indices.contains(column), let bytes = self[column], bytes.count == 8 else { return nil }
        return bytes.reduce(0) { $0 << 8 | Int64($1) }
    }
}

/// Runs `body` on that many threads of their own, all at once, and waits for all.
func inParallel(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    let failures = Failures()
    let group = DispatchGroup()
    for index in 0..<count {
        group.enter()
        Thread.detachNewThread {
            do { try body(index) } catch { failures.add(error) }
            group.leave()
        }
    }
    group.wait()
    if let first = failures.first { throw first }
}

private final class Failures: @unchecked Sendable {
    private let lock = NSLock()
    private var all: [any Error] = []
    var first: (any Error)? { lock.withLock { all.first } }
    func add(_ error: any Error) { lock.withLock { all.append(error) } }
}
