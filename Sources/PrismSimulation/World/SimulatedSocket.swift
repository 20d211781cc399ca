/// Both directions of one connection, with the kernel's buffers between them.
struct SimulatedSocket {
    var capacityBytes: Int
    /// Written by the client, not read by the server yet.
    var toServer: [UInt8] = []
    /// Written by the server, not read by the client yet.
    var toClient: [UInt8] = []
    var clientHasEndedSending = false
    var clientIsGone = false
    var serverHasShutReading = false
    var serverHasClosed = false

    // The server's side, as its shell keeps it.
    var isReading = true
    var isWaitingToWrite = false
    var isFlushDue = false
    var hasSeenEnd = false

    /// How much the client can write now; 0 as well when nobody will read it.
    var roomToServer: Int { serverHasShutReading || serverHasClosed ? 0 : max(0, capacityBytes - toServer.count) }
    var roomToClient: Int { max(0, capacityBytes - toClient.count) }
    var isAtEnd: Bool { toServer.isEmpty && (clientHasEndedSending || serverHasShutReading) }
    /// Whether the server's loop would be woken for reading.
    var isReadable: Bool { isReading && !hasSeenEnd && (!toServer.isEmpty || isAtEnd) }
    var isWritable: Bool { isWaitingToWrite && roomToClient > 0 }
}
