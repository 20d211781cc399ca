import PrismWire

extension Multiplexer {
    /// Connections that are not read until there is room for their frames.
    public var framesAwaitingRoom: Int { frames.waitingCount }

    /// What does not add up between the totals and what each connection holds; nil: everything does. Walks over every
    /// connection: for tests, the simulator and the fuzzer.
    public func accountingProblem() -> String? {
        var (held, having, waiting, lent) = (0, 0, 0, 0)
        var heldByClass: [Int: Int] = [:]
        for index in 0..<connections.endIndex where connections.isLive(index) {
            let own = connections[index].bufferedBytes + connections[index].frameBytes
            held += own
            heldByClass[connections[index].client, default: 0] += own
            let missing = max(0, (frontFrameBytes(index) ?? 0) - connections[index].input.count)
            let reserved = connections[index].reservedBytes
            switch connections[index].room {
            case .none, .awaited:
                if reserved != 0 { return "connection \(index) has \(reserved) bytes reserved, and no room" }
            case .reserved, .lent:
                having += 1
                if reserved != missing { return "connection \(index) has \(reserved) bytes reserved for \(missing)" }
            }
            if connections[index].room == .lent {
                lent += 1
                if frames.beyondLimits != Int32(index) {
                    return "connection \(index) has room that was lent to another"
                }
            }
            if connections[index].room == .awaited {
                waiting += 1
                if !connections[index].isReadingPaused { return "connection \(index) waits for room and is read" }
            }
        }
        if held != bufferedBytes { return "\(bufferedBytes) bytes are counted, \(held) are held" }
        for (client, own) in heldByClass where clientClasses[client].bufferedBytes != own {
            return "\(clientClasses[client].bufferedBytes) bytes are counted for class \(client), \(own) are held"
        }
        if having != frames.inProgressCount {
            return "\(frames.inProgressCount) frames have room, \(having) connections"
        }
        if waiting != frames.waitingCount { return "\(frames.waitingCount) frames wait, \(waiting) connections" }
        return lent == (frames.beyondLimits < 0 ? 0 : 1) ? nil : "room is lent to a connection that is gone"
    }
}
