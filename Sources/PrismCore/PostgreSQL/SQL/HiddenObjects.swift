/// What neither a statement's text nor its plan shows, and the server's catalogs do.
///
/// A function counts as somebody's own if it came neither with PostgreSQL nor with an extension.
enum HiddenObjects {
    /// Asked behind the EXPLAIN, in its transaction: a row for each thing by which the statement may run a function of somebody's own.
    /// - Parameters:
    ///   - functions: names that it may call.
    ///   - types: names that it takes for types.
    static func question(functions: Set<String>, types: Set<String>) -> String {
        """
        WITH own AS MATERIALIZED (\(own)), locked AS MATERIALIZED (\(locked)) \
        \(relations) UNION ALL \(lookalikes) UNION ALL \(expressions) UNION ALL \(domains) UNION ALL \
        \(called(list(functions))) UNION ALL \(typed(list(types))) LIMIT 1
        """
    }

    private static func list(_ names: Set<String>) -> String {
        let quoted = names.sorted().map { name in
            "'\(name.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''"))'"
        }
        return quoted.isEmpty ? "NULL" : quoted.joined(separator: ",")
    }

    private static let first = PlainPlan.firstOwnObject

    private static func isOfExtension(_ catalog: String, _ object: String) -> String {
        """
        EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.\(catalog)'::regclass \
        AND e.objid = \(object) AND e.deptype = 'e')
        """
    }

    /// Functions with a text that is run; an aggregate runs others.
    private static let own = """
        SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language g ON g.oid = p.prolang \
        WHERE p.oid >= \(first) AND g.lanname NOT IN ('internal', 'c') AND NOT \(isOfExtension("pg_proc", "p.oid"))
        """

    /// Planning has locked them, its indexes included.
    private static let locked = """
        SELECT c.oid, c.relkind, c.relrowsecurity FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
        WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' \
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
        AND c.oid >= \(first)
        """

    /// Views, row security, tables of other servers.
    private static let relations = """
        SELECT 1 FROM locked c WHERE c.relrowsecurity OR c.relkind NOT IN ('r', 'p', 'i', 'I', 'm', 't', 'S')
        """

    /// Casts and operators that look like PostgreSQL's own, or are not printed.
    private static let lookalikes = """
        SELECT 1 FROM (SELECT castfunc AS function FROM pg_catalog.pg_cast \
        WHERE castcontext = 'i' OR casttarget < \(first) \
        UNION ALL SELECT oprcode FROM pg_catalog.pg_operator \
        WHERE oprname IN (SELECT oprname FROM pg_catalog.pg_operator WHERE oid < \(first))) AS o \
        JOIN own ON own.oid = o.function
        """

    /// Planning works out what is constant in the predicates and expressions of indexes, partitions, statistics and checks.
    private static let expressions = """
        SELECT 1 FROM (SELECT 'pg_catalog.pg_class'::regclass AS catalog, oid FROM locked \
        UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass, n.oid FROM pg_catalog.pg_constraint n \
        JOIN locked c ON c.oid = n.conrelid \
        UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid FROM pg_catalog.pg_statistic_ext s \
        JOIN locked c ON c.oid = s.stxrelid) AS o \
        JOIN pg_catalog.pg_depend d ON d.classid = o.catalog AND d.objid = o.oid \
        LEFT JOIN pg_catalog.pg_operator x ON d.refclassid = 'pg_catalog.pg_operator'::regclass AND x.oid = d.refobjid \
        WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM own) \
        OR x.oprcode IN (SELECT oid FROM own)
        """

    /// A literal of a column's type is read before anything is planned, and with it a domain's check runs.
    private static let domains = """
        SELECT 1 FROM locked c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.atttypid >= \(first) \
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid AND t.typtype <> 'e' \
        WHERE EXISTS (SELECT FROM pg_catalog.pg_constraint n JOIN pg_catalog.pg_depend d \
        ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = n.oid \
        LEFT JOIN pg_catalog.pg_operator x ON d.refclassid = 'pg_catalog.pg_operator'::regclass AND x.oid = d.refobjid \
        WHERE n.contypid <> 0 AND (d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM own) \
        OR x.oprcode IN (SELECT oid FROM own)))
        """

    /// Functions with the names of PostgreSQL's own, or of keywords, or of what looks like a column.
    private static func called(_ names: String) -> String {
        """
        SELECT 1 FROM pg_catalog.pg_proc p WHERE p.oid >= \(first) AND p.proname IN (\(names)) \
        AND NOT \(isOfExtension("pg_proc", "p.oid"))
        """
    }

    /// Types likewise, but enumerations, which run nothing.
    private static func typed(_ names: String) -> String {
        """
        SELECT 1 FROM pg_catalog.pg_type t WHERE t.oid >= \(first) AND t.typname IN (\(names)) \
        AND t.typtype NOT IN ('b', 'e') AND NOT \(isOfExtension("pg_type", "t.oid"))
        """
    }
}
