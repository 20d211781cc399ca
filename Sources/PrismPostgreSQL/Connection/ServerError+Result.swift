internal import CPostgreSQL
internal import PrismCore

extension ServerError {
    /// - Parameter result: an error result of libpq's. Nil: libpq has made it up itself, the server has said nothing.
    init?(_ result: OpaquePointer) {
        let sqlState = field(result, PRISM_PG_DIAG_SQLSTATE)
        guard !sqlState.isEmpty else { return nil }
        let severity: Severity =
            switch field(result, PRISM_PG_DIAG_SEVERITY_NONLOCALIZED) {
            case "FATAL": .fatal
            case "PANIC": .panic
            default: .error
            }
        let subject = [PRISM_PG_DIAG_CONSTRAINT_NAME, PRISM_PG_DIAG_COLUMN_NAME, PRISM_PG_DIAG_TABLE_NAME]
            .lazy.map { field(result, $0) }.first { !$0.isEmpty }
        self.init(
            severity: severity, sqlState: sqlState, message: field(result, PRISM_PG_DIAG_MESSAGE_PRIMARY),
            detail: field(result, PRISM_PG_DIAG_MESSAGE_DETAIL), hint: field(result, PRISM_PG_DIAG_MESSAGE_HINT),
            position: UInt32(field(result, PRISM_PG_DIAG_STATEMENT_POSITION)) ?? 0, constraint: subject ?? "",
            routine: field(result, PRISM_PG_DIAG_SOURCE_FUNCTION))
    }
}
