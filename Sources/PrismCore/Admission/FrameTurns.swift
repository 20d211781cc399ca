/// Which frames are coming in with room reserved for them, and which connections wait for room: first come, first served
/// within a client class, in turns between classes, so that one whose frames find no room holds up no other.
///
/// Every operation is O(1), but for `next` in a loop over the classes that wait.
struct FrameTurns {
    /// Connections that have room, the one that has had it for longest first; with the time since when.
    private var inProgress = RemovableQueue<Int32, (connection: Int32, since: UInt64)>()
    /// By the place of a class.
    private var waiting: [RemovableQueue<Int32, Int32>] = []
    private var inProgressByClass: [Int] = []
    /// The places of classes with connections that wait; the next turn is the first one's.
    private var classes = RemovableQueue<Int, Int>()
    /// The one frame that may come in although there is no room for it; -1: none.
    private(set) var beyondLimits: Int32 = -1

    /// How many classes wait.
    var waitingClasses: Int { classes.count }
    var isAnyoneWaiting: Bool { !classes.isEmpty }
    /// Which frame has been coming in for longest.
    var oldest: (connection: Int32, since: UInt64)? { inProgress.first }
    var inProgressCount: Int { inProgress.count }
    var waitingCount: Int { waiting.reduce(0) { $0 + $1.count } }

    func isWaiting(in place: Int) -> Bool { place < waiting.count && !waiting[place].isEmpty }

    /// Whether a frame for which there is no room may come in all the same: one at a time, of a class that has no other on its
    /// way. Without it a frame larger than what its client may hold would wait for ever instead of being refused.
    func mayGoBeyondLimits(in place: Int) -> Bool {
        beyondLimits < 0 && (place >= inProgressByClass.count || inProgressByClass[place] == 0)
    }

    mutating func begin(_ connection: Int32, in place: Int, beyondLimits: Bool, now: UInt64) {
        inProgress.append((connection, now), id: connection)
        while inProgressByClass.count <= place { inProgressByClass.append(0) }
        inProgressByClass[place] += 1
        if beyondLimits { self.beyondLimits = connection }
    }

    mutating func end(_ connection: Int32, in place: Int) {
        guard inProgress.remove(connection) != nil else { return }
        inProgressByClass[place] -= 1
        if beyondLimits == connection { beyondLimits = -1 }
    }

    mutating func wait(_ connection: Int32, in place: Int) {
        while waiting.count <= place { waiting.append(RemovableQueue()) }
        if waiting[place].isEmpty { classes.append(place, id: place) }
        waiting[place].append(connection, id: connection)
    }

    /// It waits no longer.
    mutating func withdraw(_ connection: Int32, in place: Int) {
        guard isWaiting(in: place) else { return }
        waiting[place].remove(connection)
        if waiting[place].isEmpty { classes.remove(place) }
    }

    /// Whose turn it is: the class, and the connection of it that has waited for longest.
    var next: (place: Int, connection: Int32)? {
        guard let place = classes.first, let connection = waiting[place].first else { return nil }
        return (place, connection)
    }

    /// The class at the front has had its turn.
    mutating func turn() {
        guard let place = classes.popFirst() else { return }
        classes.append(place, id: place)
    }
}
