internal import CSQLite
internal import PrismWire

/// Version numbers for entries: unique, never re-issued, growing. Reserved in blocks by a commit of their own, so that a
/// rollback or a crash loses numbers instead of repeating what clients have seen. Belongs to the writer's thread.
final class VersionSource {
    /// Larger than one group of full `Write`s can use.
    static let block: Int64 = 1 << 20
    static let reserveBelow: Int64 = 1 << 18
    private static let attemptsMax = 8

    private var next: Int64 = 0
    private var end: Int64 = 0

    /// Begins an immediate transaction in which our numbers are the highest of all: another sidecar on the same file may have
    /// reserved since, and an entry's version must not go back.
    func begin(on connection: Connection) throws(Failure) {
        for _ in 0..<Self.attemptsMax {
            if end - next < Self.reserveBelow { try reserve(on: connection) }
            try connection.begin(immediate: true)
            do throws(Failure) {
                if try current(on: connection) == end { return }
            } catch {
                try connection.rollback()
                throw error
            }
            try connection.rollback()
            end = 0
            next = 0
        }
        throw Failure(
            .unavailable, at: .execute, "other sidecars on this file keep reserving version numbers", isRetryable: true,
            retryAfterMicroseconds: 10_000)
    }

    func take() throws(Failure) -> Int64 {
        guard next < end else {
            throw Failure(
                .resourceExhausted, at: .execute,
                "the transaction has used up its block of version numbers; make it smaller")
        }
        next += 1
        return next
    }

    private func current(on connection: Connection) throws(Failure) -> Int64 {
        let statement = try connection.statement(.readVersion)
        defer { statement.reset() }
        let result = connection.step(statement)
        guard result == SQLITE_ROW else { throw connection.failure(result, doing: "reading the version counter") }
        return statement.integer(0)
    }

    private func reserve(on connection: Connection) throws(Failure) {
        try connection.begin(immediate: true)
        do throws(Failure) {
            let statement = try connection.statement(.reserveVersions)
            statement.bind(1, integer: Self.block)
            let result = connection.step(statement)
            guard result == SQLITE_ROW else {
                let failure =
                    result == SQLITE_DONE
                    ? Failure(
                        .outOfRange, at: .execute,
                        "the file's version numbers are used up, or their counter (prism_meta, next_version) is damaged"
                    )
                    : connection.failure(result, doing: "reserving version numbers")
                statement.reset()
                throw failure
            }
            let reserved = statement.integer(0)
            statement.reset()
            try connection.commit()
            end = reserved
            next = reserved - Self.block
        } catch {
            try connection.rollback()
            throw error
        }
    }
}
