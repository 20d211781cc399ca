extension SettingsTable {
    static let limits: [Setting<Configuration>] = [
        .size(
            "limits.frame_bytes", \.limits.frameBytes, mib(4), in: kib(64)...mib(64),
            "The longest frame, in both directions."
        ).limit("The connection ends: one last answer `INVALID_ARGUMENT` with id 0."),
        .integer(
            "limits.connections", \.limits.connections, 16_384, in: 1...1_000_000,
            "Client connections; each also takes a descriptor."
        ).limit("The new connection gets `RESOURCE_EXHAUSTED` with id 0 and is closed."),
        .integer(
            "limits.in_flight_per_connection", \.limits.inFlightPerConnection, 1_024, in: 1...65_536,
            "Requests of one connection in flight."
        ).limit("That connection is not read until one of its requests has been answered."),
        .integer(
            "limits.in_flight", \.limits.inFlight, 65_536, in: 1...1_000_000,
            "Requests in flight, all connections together."
        ).limit("`RESOURCE_EXHAUSTED`, `NOT_EXECUTED`, with when to retry."),
        .size(
            "limits.buffered_bytes_per_connection", \.limits.bufferedBytesPerConnection, mib(8),
            in: kib(1)...gib(1), "Bytes buffered for one connection, in and out."
        ).limit("That connection is not read, and its streams pause, until the client has read."),
        .size(
            "limits.buffered_bytes", \.limits.bufferedBytes, mib(256), in: kib(1)...gib(64),
            "Bytes buffered for all connections."
        ).limit(
            "New requests get `RESOURCE_EXHAUSTED`, `NOT_EXECUTED`, with when to retry; from half of it on those of connections that hold more than their part of the other half. A connection whose frame finds no room is not read until there is some."
        ),
        .duration(
            "limits.frame_timeout", \.limits.frameTimeoutNanoseconds, seconds(10), in: milliseconds(1)...hours(1),
            "How long a frame may come in while others wait for room in `limits.buffered_bytes`."
        ).limit(
            "The connection ends: one last answer `RESOURCE_EXHAUSTED` with id 0. Nobody waiting, it may take as long as it likes."
        ),
        .size(
            "limits.decode_bytes", \.limits.decodeBytes, mib(16), in: kib(1)...gib(1),
            "Memory that one decoded request may use."
        ).limit("The frame counts as not decodable: the connection ends with `INVALID_ARGUMENT`, id 0."),
        .integer(
            "limits.transactions", \.limits.transactions, 1_024, in: 1...65_536,
            "Open transactions, all backends together."
        ).limit("`Begin` gets `RESOURCE_EXHAUSTED`, `NOT_EXECUTED`, with when to retry."),
        .size(
            "limits.stream_window", \.limits.streamWindowBytes, kib(256), in: kib(4)...mib(64),
            "Bytes of one stream that may wait for the client; never more than `limits.buffered_bytes_per_connection`."
        ).limit("The stream's source pauses until the client has read."),
        .duration(
            "limits.stream_stall", \.limits.streamStallNanoseconds, seconds(1), in: milliseconds(10)...hours(24),
            "How long a stream may wait for its client to read half a window, while another request waits for its connection."
        ).limit(
            "The stream ends with `RESOURCE_EXHAUSTED`; one in a transaction may wait for the transaction's idle limit instead."
        ),
        .integer(
            "limits.batch_statements", \.limits.batchStatements, 1_000, in: 1...100_000,
            "Statements or parameter sets of one `Batch`."
        ).limit("`INVALID_ARGUMENT`, `NOT_EXECUTED`."),
        .integer(
            "limits.write_items", \.limits.writeItems, 1_000, in: 1...100_000, "Items of one `Write`."
        ).limit("`INVALID_ARGUMENT`, `NOT_EXECUTED`."),
        .integer(
            "limits.get_many_keys", \.limits.getManyKeys, 1_000, in: 1...100_000, "Keys of one `GetMany`."
        ).limit("`INVALID_ARGUMENT`, `NOT_EXECUTED`."),
        .size(
            "limits.value_bytes", \.limits.valueBytes, mib(1), in: 1...mib(60), "The largest key-value value."
        ).limit("`INVALID_ARGUMENT`, `NOT_EXECUTED`."),
        .size(
            "limits.result_bytes", \.limits.resultBytes, mib(1), in: 256...mib(60),
            "A result that is held until it is complete: of a write with RETURNING, of a `Batch`, of a `GetMany`."
        ).limit(
            "`RESOURCE_EXHAUSTED`; a write is rolled back (`NOT_EXECUTED`), or the outcome says that it stands (PostgreSQL)."
        ),
        .size(
            "limits.sql_bytes", \.limits.sqlBytes, mib(1), in: 1...mib(60), "The text of one statement."
        ).limit("`INVALID_ARGUMENT`, `NOT_EXECUTED`."),
        .integer(
            "limits.parameters", \.limits.parameters, 32_766, in: 1...32_766, "Parameters of one statement."
        ).limit("`INVALID_ARGUMENT`, `NOT_EXECUTED`.").because("SQLite takes no more"),
    ]
}
