internal import PrismCore
import PrismWire

/// What kind of app a client is; drawn once for a run. Chances are per mille.
struct ClientProfile {
    enum Ending: CaseIterable {
        /// Waits for its answers, then closes.
        case close
        /// Ends its sending side with answers outstanding, and reads to the end.
        case halfClose
        /// Closes at some moment, whatever is in flight.
        case vanish
    }

    enum Fault: CaseIterable {
        case emptyFrame, longFrame, undecodable, idZero, duplicate, halfFrame, random, mutated
    }

    /// Asks for the same thing over and over, at an even pace.
    struct Steady {
        var kind: OperationKind
        /// Requests it sends at each of its steps, as far as `inFlightMax` allows.
        var perStep: Int
        /// 0: the default.
        var timeoutMicroseconds: UInt64 = 0
        /// After the start, nanoseconds; then it ends.
        var untilNanoseconds: UInt64
    }

    var requests = 20
    var inFlightMax = 8
    var startNanoseconds: UInt64 = 0
    /// Between two of its steps.
    var thinkLow: UInt64 = 10_000
    var thinkHigh: UInt64 = 1_000_000
    /// Most bytes of one write; small ones split frames everywhere.
    var writeBytesMax = 4_096
    var readBytesMax = 65_536
    /// Chance that a step reads nothing.
    var lazyChance = 0
    /// Never reads.
    var neverReads = false
    /// Of a request to be a short read.
    var readChance = 0
    var transactionChance = 0
    var shortDeadlineChance = 100
    var cancelChance = 30
    var invalidChance = 20
    /// Of a write on PostgreSQL to have an idempotency key; and of one that has, to be repeated.
    var keyChance = 0
    var saysHello = false
    var ending = Ending.close
    /// After so many requests it ends, or does wrong.
    var endsAfter = Int.max
    var fault: Fault?
    var uid: UInt32 = 1_000
    var socketBytes = 65_536
    /// Nil: it asks for whatever is drawn.
    var steady: Steady?

    static func draw(_ random: inout SeededGenerator) -> ClientProfile {
        var profile = ClientProfile()
        profile.requests = random.pick([1, 5, 20, 60])
        profile.inFlightMax = random.pick([1, 2, 8, 40])
        if random.chance(500) { profile.startNanoseconds = random.spread(1_000, 4_000_000_000) }
        profile.thinkLow = random.spread(1_000, 10_000_000)
        profile.thinkHigh = profile.thinkLow + random.spread(1_000, 200_000_000)
        profile.writeBytesMax = random.pick([1, 3, 16, 100, 4_096, 65_536])
        profile.readBytesMax = random.pick([1, 16, 200, 65_536])
        profile.lazyChance = random.pick([0, 0, 0, 500, 900])
        profile.neverReads = random.chance(50)
        profile.transactionChance = random.pick([0, 0, 200, 600, 900])
        profile.shortDeadlineChance = random.pick([0, 50, 300, 800])
        profile.cancelChance = random.pick([0, 30, 200])
        profile.invalidChance = random.pick([0, 20, 100])
        profile.keyChance = random.pick([0, 100, 500])
        profile.saysHello = random.chance(400)
        profile.ending = random.pick([.close, .close, .halfClose, .vanish])
        if random.chance(400) { profile.endsAfter = random.below(profile.requests + 1) }
        if random.chance(150) { profile.fault = random.pick(Fault.allCases) }
        profile.uid = random.pick([1_000, 1_000, 1_000, 1_001])
        profile.socketBytes = random.pick([64, 500, 4_096, 65_536])
        return profile
    }
}
