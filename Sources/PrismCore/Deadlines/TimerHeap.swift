/// Deadlines in order: a 4-ary heap that knows where each timer stands, so that cancelling one costs no more than adding it
/// and nothing stale is left behind. Most requests add at the end and leave from anywhere.
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
        var position: Int32
        var index: Int32
        var kind: Kind
    }

    private var heap = Cells<Node>()
    private var timers = Cells<Timer>()
    private var free = Cells<Int32>()

    var count: Int { heap.count }

    /// The earliest deadline, nanoseconds; `UInt64.max` without timers.
    var nextDeadline: UInt64 { heap.isEmpty ? .max : heap[0].deadline }

    /// Adds a timer; the answer names it for `cancel`.
    mutating func add(deadline: UInt64, kind: Kind, index: Int) -> Int32 {
        let name: Int32
        let timer = Timer(position: Int32(heap.count), index: Int32(index), kind: kind)
        if let reused = free.popLast() {
            name = reused
            timers[Int(reused)] = timer
        } else {
            name = Int32(timers.count)
            timers.append(timer)
        }
        heap.append(Node(deadline: deadline, timer: name))
        siftUp(heap.count - 1)
        return name
    }

    /// Takes a timer out that has not come due.
    mutating func cancel(_ timer: Int32) {
        remove(at: Int(timers[Int(timer)].position))
    }

    /// Takes the earliest timer if its time has come: never early.
    mutating func popDue(now: UInt64) -> Due? {
        guard nextDeadline <= now, !heap.isEmpty else { return nil }
        let timer = timers[Int(heap[0].timer)]
        remove(at: 0)
        return Due(kind: timer.kind, index: Int(timer.index))
    }

    private mutating func remove(at position: Int) {
        let name = heap[position].timer
        guard let last = heap.popLast() else { return }
        if position < heap.count {
            place(last, at: position)
            siftDown(position)
            siftUp(Int(timers[Int(last.timer)].position))
        }
        free.append(name)
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
