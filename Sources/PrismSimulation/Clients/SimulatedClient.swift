import PrismCore
import PrismWire

/// An app at one connection: writes frames in pieces of any size, reads when it likes, ends as it likes.
final class SimulatedClient {
    enum State {
        case notConnected
        case connected
        case ended
    }

    /// A transaction as the client sees it.
    struct View {
        let handle: UInt64
        let isReadOnly: Bool
        let backend: Int
        var savepoints = 0
        var requests = 0
        var hasFailed = false
    }

    /// Where frames end in the stream of bytes that it sends; the world tells from it what the server has read.
    struct Boundary {
        let end: Int
        /// 0: not a request.
        let serial: Int
        /// Its last byte makes the connection fail, or may.
        let isFault: Bool
    }

    let number: Int
    let profile: ClientProfile
    /// Which of the backends are PostgreSQL's.
    let postgreSQL: [Bool]
    var random: SeededGenerator
    var state = State.notConnected
    var socket: SimulatedSocket
    var reference: ConnectionReference?

    var outbox: [UInt8] = []
    var outboxHead = 0
    var queuedBytes = 0
    var boundaries: [Boundary] = []
    var boundariesPassed = 0
    var bytesReadByServer = 0
    /// Taken out of the multiplexer's output.
    var bytesWritten = 0
    var inbox: [UInt8] = []

    var created = 0
    var nextID: UInt64 = 1
    var outstanding: [UInt64: [Int]] = [:]
    var outstandingCount = 0
    /// Requests with an idempotency key, to be repeated.
    var keyed: [RequestRecord] = []
    /// Ids in the order sent, to cancel one of them.
    var recent: [UInt64] = []
    var view: View?
    var isBeginning = false
    /// It sends nothing more.
    var hasFinishedSending = false
    var hasDoneWrong = false
    var isStepScheduled = false

    init(number: Int, profile: ClientProfile, postgreSQL: [Bool], random: SeededGenerator) {
        self.number = number
        self.postgreSQL = postgreSQL
        self.profile = profile
        self.random = random
        socket = SimulatedSocket(capacityBytes: profile.socketBytes)
    }

    /// How many requests a steady client has sent at the end of a step.
    func last(_ steady: ClientProfile.Steady, at time: UInt64) -> Int {
        time < steady.untilNanoseconds ? created + steady.perStep : created
    }

    var hasUnsent: Bool { outboxHead < outbox.count }

    func queue(_ bytes: [UInt8], serial: Int = 0, isFault: Bool = false) {
        outbox += bytes
        queuedBytes += bytes.count
        boundaries.append(Boundary(end: queuedBytes, serial: serial, isFault: isFault))
    }

    /// Puts a piece into the socket; false: nothing went.
    func push() -> Bool {
        guard hasUnsent else { return false }
        let most = min(socket.roomToServer, outbox.count - outboxHead, profile.writeBytesMax)
        guard most > 0 else { return false }
        let count = random.chance(300) ? most : 1 + random.below(most)
        socket.toServer += outbox[outboxHead..<outboxHead + count]
        outboxHead += count
        if outboxHead == outbox.count {
            outbox.removeAll(keepingCapacity: true)
            outboxHead = 0
        }
        return true
    }

    /// Takes a piece out of the socket and hands over the answers that are complete.
    func pull(arena: Arena, _ body: (Answer) -> Void) -> [UInt8] {
        guard !socket.toClient.isEmpty else { return [] }
        let count = min(socket.toClient.count, 1 + random.below(profile.readBytesMax))
        let piece = Array(socket.toClient[..<count])
        socket.toClient.removeFirst(count)
        inbox += piece
        var taken = 0
        inbox.withUnsafeBytes { bytes in
            while case .frame(let length) = Frame.scan(
                UnsafeRawBufferPointer(rebasing: bytes[taken...]), bytesMax: Frame.bytesMaxCeiling)
            {
                let start = taken + Frame.headerBytes
                if let answer = Answer(UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]), in: arena) {
                    body(answer)
                }
                taken = start + length
            }
        }
        inbox.removeFirst(taken)
        return piece
    }
}
