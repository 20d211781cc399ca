/// Deadlines in order. Most requests come with a later deadline than all before them and leave long before it. Such timers stand
/// in runs: rings in the order of their deadlines, in which adding at the end and taking out anywhere is a few steps. What comes
/// in no order stands in a 4-ary heap that knows where each timer is. Nothing stale is left behind in either.
///
/// A timer goes into the first run at whose end it may stand: long timeouts gather in the first one and do not keep shorter ones
/// out of the others.
struct TimerHeap: ~Copyable {
    /// What a timer belongs to.
    enum Kind: UInt8, Sendable {
        case request
        case transactionIdle
        case transactionTotal
        /// A connection in error that has not read its last answer.
        case linger
        /// A connection on which streams wait for the client.
        case stall
        /// A frame that takes long while others wait for room.
        case frame
    }

    /// A timer that has come due.
    struct Due: Equatable, Sendable {
        let kind: Kind
        let index: Int
    }

    struct Node: BitwiseCopyable {
        var deadline: UInt64
        var timer: Int32
    }

    struct Timer: BitwiseCopyable {
        static let inRun: Int32 = -1
        static let free: Int32 = -2

        var deadline: UInt64
        var index: Int32
        /// In the heap; or one of those above.
        var position: Int32
        /// Neighbours in its run. Of a free one, `next` is the next free one; -1: there is none.
        var previous: Int32
        var next: Int32
        var kind: Kind

        /// What closes a run's ring, and a place that nothing has used.
        init(closing run: Int32) {
            self.init(deadline: .max, index: -1, kind: .request)
            (previous, next) = (run, run)
        }

        init(deadline: UInt64, index: Int32, kind: Kind) {
            (self.deadline, self.index, self.kind) = (deadline, index, kind)
            (position, previous, next) = (Self.inRun, -1, -1)
        }
    }

    /// So many timeouts may alternate and none is in the heap: those of clients, and of transactions.
    static let runs: Int32 = 4

    /// Those at the places before `runs` are none: each is after the last of its run and before the first.
    private var timers = Cells<Timer>()
    private var free: Int32 = -1
    private var heap = Cells<Node>()
    private(set) var count = 0
    /// The earliest deadline, nanoseconds; `UInt64.max` without timers.
    private(set) var nextDeadline = UInt64.max

    init() {
        for run in 0..<Self.runs { timers.append(Timer(closing: run)) }
    }

    /// Adds a timer; the answer names it for `cancel`.
    mutating func add(deadline: UInt64, kind: Kind, index: Int) -> Int32 {
        nextDeadline = min(nextDeadline, deadline)
        count += 1
        var timer = Timer(deadline: deadline, index: Int32(index), kind: kind)
        for run in 0..<Self.runs {
            let last = timers[Int(run)].previous
            guard last == run || timers[Int(last)].deadline <= deadline else { continue }
            (timer.previous, timer.next) = (last, run)
            let name = enter(timer)
            timers[Int(last)].next = name
            timers[Int(run)].previous = name
            return name
        }
        return addToHeap(timer)
    }

    /// Takes a timer out that has not come due.
    mutating func cancel(_ name: Int32) {
        let (deadline, position) = (timers[Int(name)].deadline, timers[Int(name)].position)
        let (previous, next) = (timers[Int(name)].previous, timers[Int(name)].next)
        assert(name >= Self.runs && position != Timer.free, "no such timer")
        (timers[Int(name)].position, timers[Int(name)].next) = (Timer.free, free)
        free = name
        count -= 1
        if position < 0 {
            timers[Int(previous)].next = next
            timers[Int(next)].previous = previous
        } else {
            removeFromHeap(at: Int(position))
        }
        if deadline == nextDeadline { findNextDeadline() }
    }

    /// Takes the earliest timer if its time has come: never early.
    mutating func popDue(now: UInt64) -> Due? {
        guard nextDeadline <= now, count > 0 else { return nil }
        let name = earliest()
        let due = Due(kind: timers[Int(name)].kind, index: Int(timers[Int(name)].index))
        cancel(name)
        return due
    }

    /// Its deadline is `nextDeadline`; there must be one.
    private func earliest() -> Int32 {
        for run in 0..<Self.runs {
            let first = timers[Int(run)].next
            if first != run, timers[Int(first)].deadline == nextDeadline { return first }
        }
        return heap[0].timer
    }

    // Not inlined, as what follows: what most timers do not need would make all of them save more registers.
    @inline(never)
    private mutating func findNextDeadline() {
        guard count > 0 else {
            nextDeadline = .max
            return
        }
        var earliest = heap.isEmpty ? .max : heap[0].deadline
        // Of an empty run it is the one that closes it, with a deadline that never comes.
        for run in 0..<Int(Self.runs) { earliest = min(earliest, timers[Int(timers[run].next)].deadline) }
        nextDeadline = earliest
    }

    @inline(__always)
    private mutating func enter(_ timer: Timer) -> Int32 {
        if free < 0 { addPlace() }
        let name = free
        free = timers[Int(name)].next
        timers[Int(name)] = timer
        return name
    }

    @inline(never)
    private mutating func addPlace() {
        free = Int32(timers.count)
        timers.append(Timer(closing: -1))
    }

    // MARK: The heap

    @inline(never)
    private mutating func addToHeap(_ timer: Timer) -> Int32 {
        let name = enter(timer)
        heap.append(Node(deadline: timer.deadline, timer: name))
        siftUp(heap.count - 1)
        return name
    }

    @inline(never)
    private mutating func removeFromHeap(at position: Int) {
        guard let last = heap.popLast(), position < heap.count else { return }
        place(last, at: position)
        siftDown(position)
        siftUp(Int(timers[Int(last.timer)].position))
    }

    private mutating func siftUp(_ start: Int) {
        var position = start
        let node = heap[position]
        while position > 0 {
            let parent = (position - 1) >> 2
            if heap[parent].deadline <= node.deadline { break }
            place(heap[parent], at: position)
            position = parent
        }
        place(node, at: position)
    }

    private mutating func siftDown(_ start: Int) {
        var position = start
        let node = heap[position]
        while true {
            let first = position * 4 + 1
            guard first < heap.count else { break }
            var smallest = first
            for child in first + 1..<max(first + 1, min(first + 4, heap.count))
            where heap[child].deadline < heap[smallest].deadline { smallest = child }
            if heap[smallest].deadline >= node.deadline { break }
            place(heap[smallest], at: position)
            position = smallest
        }
        place(node, at: position)
    }

    private mutating func place(_ node: Node, at position: Int) {
        heap[position] = node
        timers[Int(node.timer)].position = Int32(position)
    }
}
