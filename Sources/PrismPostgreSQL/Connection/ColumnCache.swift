internal import CPostgreSQL
internal import Glibc
internal import PrismCore

/// The columns of statements that have run before, so that names are not copied with every execution.
struct ColumnCache {
    /// Statements remembered; beyond it all are forgotten.
    static let statementsMax = 512

    /// Of a statement's last execution, in whatever format.
    private var known: [PreparedName: ServerColumns] = [:]

    mutating func forget(_ name: PreparedName) {
        known[name] = nil
    }

    /// Taken from the result unless the remembered ones are just the same.
    mutating func columns(of command: SentCommands.Command, _ result: OpaquePointer) -> ServerColumns {
        guard case .execute(let name, _) = command else {
            return ServerColumns(Self.columns(result), format: Self.format(result))
        }
        if let columns = known[name], Self.isSame(columns, result) { return columns }
        let columns = ServerColumns(Self.columns(result), format: Self.format(result))
        if known.count >= Self.statementsMax { known.removeAll() }
        known[name] = columns
        return columns
    }

    static func columns(_ result: OpaquePointer) -> [ServerColumn] {
        (0..<PQnfields(result)).map {
            ServerColumn(name: PQfname(result, $0).map { String(cString: $0) } ?? "", type: PQftype(result, $0))
        }
    }

    private static func format(_ result: OpaquePointer) -> ValueFormat {
        PQbinaryTuples(result) != 0 ? .binary : .text
    }

    private static func isSame(_ columns: ServerColumns, _ result: OpaquePointer) -> Bool {
        guard columns.columns.count == Int(PQnfields(result)), columns.format == format(result) else { return false }
        return columns.isSame(
            name: { UnsafePointer(PQfname(result, Int32(truncatingIfNeeded: $0))) },
            type: { PQftype(result, Int32(truncatingIfNeeded: $0)) })
    }
}
