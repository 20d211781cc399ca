internal import CPostgreSQL
internal import Glibc
internal import PrismReactor

/// Runs statements of ours on a connection that is not handed over yet, and gives up on a server that does not answer: PQexec
/// would wait for it without end. Any thread, one at a time; blocks.
struct BlockingQuery {
    /// An answer of libpq's, freed with it.
    final class Answer {
        let pointer: OpaquePointer
        init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { PQclear(pointer) }

        var isSuccess: Bool {
            let status = PQresultStatus(pointer)
            return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK
        }

        /// The only value; nil: it is no such answer.
        var value: String? {
            guard PQresultStatus(pointer) == PGRES_TUPLES_OK, PQntuples(pointer) == 1, PQnfields(pointer) == 1 else {
                return nil
            }
            return PQgetvalue(pointer, 0, 0).map { String(cString: $0) }
        }
    }

    /// The connection is of no more use.
    struct Lost: Error {
        var message: String
    }

    let connection: OpaquePointer
    /// For everything that is run; CLOCK_MONOTONIC nanoseconds.
    let deadlineNanoseconds: UInt64

    /// - Returns: the answer to the one statement in `sql`, also when it is an error of the server.
    func run(_ sql: String) throws(Lost) -> Answer { try answer(PQsendQuery(connection, sql)) }

    /// Parses a statement under a name, its parameters' types left to the server.
    func prepare(_ name: String, _ sql: String) throws(Lost) -> Answer {
        try answer(PQsendPrepare(connection, name, sql, 0, nil))
    }

    /// Runs a prepared statement with parameters as text.
    func execute(_ name: String, _ parameters: [String]) throws(Lost) -> Answer {
        let values = parameters.map { strdup($0) }
        defer { for value in values { free(value) } }
        return try answer(
            PQsendQueryPrepared(
                connection, name, Int32(values.count), values.map { UnsafePointer($0) }, nil, nil, 0))
    }

    /// Of what has been sent, or could not be.
    private func answer(_ isSent: Int32) throws(Lost) -> Answer {
        guard isSent == 1 else { throw Lost(message: message) }
        var answer: Answer?
        while true {
            while PQisBusy(connection) != 0 {
                try waitForInput()
                guard PQconsumeInput(connection) == 1 else { throw Lost(message: message) }
            }
            guard let result = PQgetResult(connection) else { break }
            answer = Answer(result)
        }
        guard let answer, PQstatus(connection) == CONNECTION_OK else { throw Lost(message: message) }
        return answer
    }

    private func waitForInput() throws(Lost) {
        while true {
            let now = MonotonicClock.now()
            guard now < deadlineNanoseconds else {
                throw Lost(message: "the server took the connection, and then did not answer in time")
            }
            let milliseconds = min((deadlineNanoseconds - now) / 1_000_000 + 1, 60_000)
            var descriptor = pollfd(fd: PQsocket(connection), events: Int16(POLLIN), revents: 0)
            switch poll(&descriptor, 1, Int32(milliseconds)) {
            case 0: continue
            case ..<0 where errno == EINTR: continue
            case ..<0: throw Lost(message: "poll: \(SystemCallError(call: "poll", code: errno).reason)")
            default: return
            }
        }
    }

    /// What libpq says of the last answer. It says nothing of one that only makes no sense.
    var message: String {
        let text = LibpqConnection.oneLine(PQerrorMessage(connection).map { String(cString: $0) } ?? "")
        return text.isEmpty ? "the server took the connection, and then answered with nonsense" : text
    }
}
