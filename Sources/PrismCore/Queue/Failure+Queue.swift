public import PrismWire

/// Refusals of what waits, or would wait, for a backend: nothing of these requests has been executed.
extension Failure {
    /// The queue is at its limit, or the client at its part of it.
    public static func queueFull(backend: String, retryAfterNanoseconds: UInt64) -> Failure {
        Failure(
            .resourceExhausted, at: .queue,
            "the queue of backend \(backend), or this client's part of it, is full (queue_requests)",
            isRetryable: true, retryAfterMicroseconds: retryAfterNanoseconds / 1_000)
    }

    /// It has waited for the acquire timeout.
    /// - Parameter raise: the setting that allows for more.
    public static func notAcquired(backend: String, raise setting: String, retryAfterNanoseconds: UInt64) -> Failure {
        Failure(
            .resourceExhausted, at: .queue,
            "backend \(backend) had no connection free within acquire_timeout; shorten transactions, or raise \(setting)",
            isRetryable: true, retryAfterMicroseconds: retryAfterNanoseconds / 1_000)
    }

    /// By estimate it could not be answered before its deadline.
    public static func late(backend: String, retryAfterNanoseconds: UInt64) -> Failure {
        Failure(
            .deadlineExceeded, at: .queue,
            "backend \(backend) has too much to do to answer before the deadline; nothing was started",
            isRetryable: true,
            retryAfterMicroseconds: retryAfterNanoseconds / 1_000)
    }

    /// The client of a stream does not read, and others wait for the connection that the stream holds.
    public static let streamStalled = Failure(
        .resourceExhausted, at: .stream,
        "the stream was not read for limits.stream_stall while others waited for its connection; read it faster, or ask for less at a time",
        isRetryable: true, retryAfterMicroseconds: MultiplexerSettings.limitRetryMicroseconds)

    /// - Parameter problem: why the last connect failed.
    static func refusal(
        _ refusal: PoolScheduler.Refusal, backend: String, problem: String, retryAfterNanoseconds: UInt64
    ) -> Failure {
        switch refusal {
        case .queueFull: .queueFull(backend: backend, retryAfterNanoseconds: retryAfterNanoseconds)
        case .acquireTimeout:
            .notAcquired(
                backend: backend, raise: "connections_max", retryAfterNanoseconds: retryAfterNanoseconds)
        case .late: .late(backend: backend, retryAfterNanoseconds: retryAfterNanoseconds)
        case .backendDown(let retryAfterNanoseconds):
            Failure(
                .unavailable, at: .connect, "backend \(backend) cannot be reached: \(problem)", isRetryable: true,
                retryAfterMicroseconds: max(1_000, retryAfterNanoseconds / 1_000))
        case .stopping: .stopping
        }
    }
}
