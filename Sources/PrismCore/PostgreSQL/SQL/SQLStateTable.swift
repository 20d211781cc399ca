internal import PrismWire

/// What each SQLSTATE means to a client, as docs/errors.md shows it; a test holds the page against these rows.
///
/// Five characters are one code, two a whole class. Names are those of the server's errcodes.txt.
enum SQLStateTable {
    struct Row: Sendable {
        var state: String
        var name: String
        var code: StatusCode
        /// Nil: the same request fails again.
        var retryAfterMicroseconds: UInt64?
        var remedy: String

        init(_ state: String, _ name: String, _ code: StatusCode, retry: UInt64? = nil, _ remedy: String) {
            self.state = state
            self.name = name
            self.code = code
            retryAfterMicroseconds = retry
            self.remedy = remedy
        }
    }

    static let conflict: UInt64 = 1_000
    static let lock: UInt64 = 50_000
    static let connection: UInt64 = 100_000
    static let serverState: UInt64 = 1_000_000

    private static let isRaised = "a function or trigger of the database raised it; see its message"

    static let rows: [Row] = [
        Row("03", "sql_statement_not_yet_complete", .invalidArgument, "correct the SQL text"),
        Row(
            "08", "connection_exception", .unavailable, retry: connection,
            "the connection to the server, or the server's to another one, is lost; try again"),
        Row(
            "08P01", "protocol_violation", .invalidArgument,
            "send as many parameters as the statement takes; if you did, please report it with the sidecar's log"),
        Row("09", "triggered_action_exception", .failedPrecondition, isRaised),
        Row("0A", "feature_not_supported", .invalidArgument, "the server cannot do this; correct the SQL text"),
        Row("0B", "invalid_transaction_initiation", .failedPrecondition, isRaised),
        Row("0F", "locator_exception", .invalidArgument, "correct the SQL text or its parameters"),
        Row("0L", "invalid_grantor", .permissionDenied, "the role may not grant this; ask the database's owner"),
        Row("0P", "invalid_role_specification", .invalidArgument, "name a role that exists"),
        Row("0Z", "diagnostics_exception", .failedPrecondition, isRaised),
        Row("20", "case_not_found", .failedPrecondition, isRaised),
        Row(
            "21", "cardinality_violation", .invalidArgument,
            "a part of the statement gave more rows than it may; correct the SQL text"),
        Row("22", "data_exception", .invalidArgument, "send a value that fits the column's or parameter's type"),
        Row("22003", "numeric_value_out_of_range", .outOfRange, "the number does not fit its type"),
        Row("22008", "datetime_field_overflow", .outOfRange, "the date or time does not fit its type"),
        Row("22015", "interval_field_overflow", .outOfRange, "the interval does not fit its type"),
        Row("2200H", "sequence_generator_limit_exceeded", .outOfRange, "the sequence is used up; alter its limits"),
        Row(
            "23", "integrity_constraint_violation", .failedPrecondition,
            "the change would break a constraint of the schema"),
        Row("23505", "unique_violation", .alreadyExists, "a row with this key is already there"),
        Row("24", "invalid_cursor_state", .failedPrecondition, isRaised),
        Row(
            "25", "invalid_transaction_state", .failedPrecondition,
            "the transaction is in no state for this; roll back and begin again"),
        Row(
            "25001", "active_sql_transaction", .failedPrecondition,
            "this runs outside of a transaction only: send it as a Query of its own, without idempotency key or read_only"
        ),
        Row(
            "25006", "read_only_sql_transaction", .invalidArgument,
            "the request, its transaction or the server is read-only, and the statement writes; send it without read_only, to "
                + "a server that takes writes"),
        Row(
            "25P02", "in_failed_sql_transaction", .failedPrecondition,
            "an earlier request of the transaction failed; only Rollback, or RollbackTo, is possible"),
        Row(
            "25P03", "idle_in_transaction_session_timeout", .aborted, retry: conflict,
            "the transaction was idle for too long and is rolled back; run it again"),
        Row(
            "25P04", "transaction_timeout", .aborted, retry: conflict,
            "the transaction took too long and is rolled back; make it shorter, or raise transaction_timeout"),
        Row(
            "26", "invalid_sql_statement_name", .aborted, retry: conflict,
            "a prepared statement of Prism's is gone (a pooler between Prism and the server needs `pooled: true`); try again"
        ),
        Row("27", "triggered_data_change_violation", .failedPrecondition, isRaised),
        Row(
            "28", "invalid_authorization_specification", .permissionDenied,
            "the role may not do this; ask the database's owner"),
        Row(
            "2B", "dependent_privilege_descriptors_still_exist", .failedPrecondition,
            "other objects depend on it; drop these first, or use CASCADE"),
        Row(
            "2D", "invalid_transaction_termination", .failedPrecondition,
            "what commits by itself cannot run in a transaction: send CALL or DO as a Query of its own"),
        Row("2F", "sql_routine_exception", .failedPrecondition, isRaised),
        Row("34", "invalid_cursor_name", .invalidArgument, "correct the SQL text"),
        Row("38", "external_routine_exception", .failedPrecondition, isRaised),
        Row("39", "external_routine_invocation_exception", .failedPrecondition, isRaised),
        Row("3B", "savepoint_exception", .invalidArgument, "name a savepoint that the transaction has"),
        Row("3B001", "invalid_savepoint_specification", .notFound, "set it with Savepoint first"),
        Row("3D", "invalid_catalog_name", .invalidArgument, "name a database that exists"),
        Row("3F", "invalid_schema_name", .invalidArgument, "name a schema that exists"),
        Row("40", "transaction_rollback", .aborted, retry: conflict, "run the transaction again"),
        Row(
            "40001", "serialization_failure", .aborted, retry: conflict,
            "another transaction was faster; run the transaction again"),
        Row(
            "40002", "transaction_integrity_constraint_violation", .failedPrecondition,
            "the change would break a constraint of the schema"),
        Row(
            "40P01", "deadlock_detected", .aborted, retry: conflict,
            "transactions waited for each other; run the transaction again, and lock in the same order everywhere"),
        Row("42", "syntax_error_or_access_rule_violation", .invalidArgument, "correct the SQL text or its parameters"),
        Row(
            "42501", "insufficient_privilege", .permissionDenied,
            "the role of this backend has no right to do this; ask the database's owner to grant it"),
        Row(
            "42P05", "duplicate_prepared_statement", .aborted, retry: conflict,
            "a prepared statement has one of Prism's names (a pooler between Prism and the server needs `pooled: true`); try again"
        ),
        Row(
            "44", "with_check_option_violation", .failedPrecondition,
            "the row would not be in the view that it is written to"),
        Row(
            "53", "insufficient_resources", .resourceExhausted, "the server is short of resources; ask for less at once"
        ),
        Row("53100", "disk_full", .resourceExhausted, "the server's disk is full; make room on it"),
        Row("53200", "out_of_memory", .resourceExhausted, "the server is out of memory; ask for less at once"),
        Row(
            "53300", "too_many_connections", .resourceExhausted, retry: serverState,
            "the server or the role has no connection left; lower pool sizes, or raise max_connections"),
        Row(
            "53400", "configuration_limit_exceeded", .resourceExhausted,
            "a limit of the server's configuration is reached; ask for less at once, or raise it"),
        Row("54", "program_limit_exceeded", .resourceExhausted, "the statement or a value is too large; divide it"),
        Row("55", "object_not_in_prerequisite_state", .failedPrecondition, "the object is in no state for this"),
        Row(
            "55006", "object_in_use", .failedPrecondition, retry: serverState, "others use the object; try again later"),
        Row(
            "55P03", "lock_not_available", .aborted, retry: lock,
            "another transaction holds the lock; run the transaction again"),
        Row(
            "57", "operator_intervention", .unavailable, retry: serverState,
            "the server is ending, starting or recovering; try again"),
        Row(
            "57014", "query_canceled", .cancelled,
            "the statement was stopped, by its client, by an administrator, or by the server's statement_timeout"),
        Row("57P01", "admin_shutdown", .unavailable, retry: connection, "the server ended the connection; try again"),
        Row(
            "57P04", "database_dropped", .unavailable, retry: serverState,
            "the database has been dropped; create it, or name another in the backend's conninfo"),
        Row(
            "57P05", "idle_session_timeout", .unavailable, retry: connection,
            "the server ended the connection because it was idle; try again"),
        Row(
            "58", "system_error", .unavailable, retry: serverState,
            "the server's system or disk failed; see the server's log"),
        Row(
            "58P01", "undefined_file", .failedPrecondition,
            "a file is missing on the server (an extension that is not installed?); see the server's log"),
        Row("72", "snapshot_too_old", .aborted, retry: conflict, "run the transaction again, and make it shorter"),
        Row(
            "F0", "config_file_error", .unavailable, retry: serverState,
            "the server's configuration is wrong; see its log"),
        Row("HV", "fdw_error", .failedPrecondition, "a foreign table failed; see its server's and user's options"),
        Row(
            "HV001", "fdw_out_of_memory", .resourceExhausted, "a foreign server is out of memory; ask for less at once"),
        Row(
            "HV00N", "fdw_unable_to_establish_connection", .unavailable, retry: serverState,
            "a foreign server cannot be reached; try again"),
        Row("P0", "plpgsql_error", .failedPrecondition, isRaised),
        Row("P0001", "raise_exception", .failedPrecondition, isRaised),
        Row("XX", "internal_error", .internal, "the server failed where it should not; see the server's log"),
        Row("XX001", "data_corrupted", .dataLoss, "the server's data are damaged; see its log, restore from a backup"),
        Row("XX002", "index_corrupted", .dataLoss, "an index is damaged; REINDEX it, and check the server's disk"),
    ]

    /// What is in no row: functions may raise any code they like.
    static let raised = Row("", "any other", .failedPrecondition, isRaised)
    /// A plan that the server has outgrown and Prism could not heal, as inside of a transaction.
    static let stalePlan = Row(
        "0A000", "feature_not_supported: cached plan must not change result type", .aborted, retry: conflict,
        "a table has changed under a prepared statement; run the transaction again")
    /// A backend that lets nobody in is away, whatever keeps it; only a lack of connections keeps its own row.
    static let notConnected = Row(
        "", "any at stage connect but class 53", .unavailable, retry: serverState,
        "the server did not let Prism in; check the backend's conninfo and password, the role, the database and pg_hba.conf"
    )

    /// What PgBouncer gives to everything that went wrong behind it.
    static let pooler = Row(
        "", "08P01 of a pooler", .unavailable, retry: serverState,
        "the pooler has lost the server, or cannot reach it; look at its log")

    static let byState: [String: Row] = Dictionary(rows.map { ($0.state, $0) }, uniquingKeysWith: { first, _ in first })
}
