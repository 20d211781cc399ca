internal import CPostgreSQL
internal import Glibc
internal import PrismReactor

/// A connection on which the processes behind other connections are cancelled, many with one statement. One thread; blocks, for
/// a limited time.
final class ControlConnection {
    /// Cancelled by one statement. So few that libpq never waits to send them.
    static let targetsMax = 256

    /// True: the processes were told, or are gone. A number that is another process's by now stays alone; a process that is
    /// not ours to see makes it false, and the caller has to use the protocol.
    private static let statement = """
        SELECT coalesce(bool_and(CASE WHEN a.pid IS NULL THEN true WHEN a.backend_start IS NULL THEN false \
        WHEN extract(epoch FROM a.backend_start)::text = t.started THEN pg_cancel_backend(t.pid) IS NOT NULL \
        ELSE true END), false) \
        FROM unnest($1::int[], $2::text[]) AS t(pid, started) LEFT JOIN pg_stat_get_activity(NULL) AS a ON a.pid = t.pid
        """
    private static let name = "prism_cancel"

    /// Which server it leads to.
    let server: String
    private let pointer: OpaquePointer

    private init(_ pointer: OpaquePointer, server: String) {
        self.pointer = pointer
        self.server = server
    }

    /// Takes over a connection that PQconnectdbParams has made.
    /// - Throws: also when the server does not let itself be used for this.
    static func make(_ pointer: OpaquePointer, _ query: BlockingQuery) throws(BlockingQuery.Lost) -> ControlConnection {
        do throws(BlockingQuery.Lost) {
            // A role from the conninfo's options could see less than the connections' own role; a search_path of the role's
            // could bring in functions of somebody else's.
            for sql in ["SET ROLE NONE", "SET search_path = pg_catalog"] where try !query.run(sql).isSuccess {
                throw BlockingQuery.Lost(message: query.message)
            }
            guard let own = try CancelTarget(query, processID: PQbackendPID(pointer)) else {
                throw BlockingQuery.Lost(message: "the server does not tell its processes apart")
            }
            guard try query.prepare(name, statement).isSuccess else { throw BlockingQuery.Lost(message: query.message) }
            return ControlConnection(pointer, server: own.server)
        } catch {
            PQfinish(pointer)
            throw error
        }
    }

    /// Does not wait for the server: the farewell is sent if there is room for it.
    deinit {
        PQsetnonblocking(pointer, 1)
        PQfinish(pointer)
    }

    var socket: Int32 { PQsocket(pointer) }

    /// Asks the server to cancel what these processes, at most `targetsMax`, are running.
    /// - Parameter deadlineNanoseconds: CLOCK_MONOTONIC.
    /// - Returns: whether it has done so; if not, the connection is of no more use.
    func cancel(_ targets: [CancelTarget], deadlineNanoseconds: UInt64) -> Bool {
        let parameters = [
            "{\(targets.map { "\($0.processID)" }.joined(separator: ","))}",
            "{\(targets.map(\.started).joined(separator: ","))}",
        ]
        let query = BlockingQuery(connection: pointer, deadlineNanoseconds: deadlineNanoseconds)
        do throws(BlockingQuery.Lost) {
            return try query.execute(Self.name, parameters).value == "t"
        } catch {
            return false
        }
    }

    /// Between two cancels the server has nothing to say but farewell, and what it tells everybody.
    /// - Returns: false: the connection is lost.
    func takeInput() -> Bool {
        guard PQconsumeInput(pointer) == 1 else { return false }
        // Parses, so that what has come does not pile up.
        return PQisBusy(pointer) == 0 && PQstatus(pointer) == CONNECTION_OK
    }
}
