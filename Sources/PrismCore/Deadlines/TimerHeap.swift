/// Deadlines in order: a 4-ary heap that knows where each timer stands, so that cancelling one costs no more than adding it
/// and nothing stale is left behind. Most requests add at the end and leave from anywhere.
public struct TimerHeap: Sendable {
    /// What a timer belongs to.
    public enum Kind: UInt8, Sendable {
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
    public struct Due: Equatable, Sendable {
        public let kind: Kind
        public let index: Int
    }

    private struct Node {
        var deadline: UInt64
        var timer: Int32
    }

    private struct Timer {
        var position: Int32
        var index: Int32
        var kind: Kind
    }

    private var heap: [Node] = []
    private var timers: [Timer] = []
    private var free: [Int32] = []

    public init() {}

    public var count: Int { heap.count }

    /// The earliest deadline, nanoseconds; `UInt64.max` without timers.
    public var nextDeadline: UInt64 { heap.first?.deadline ?? .max }

    /// Adds a timer; the answer names it for `cancel`.
    public mutating func add(deadline: UInt64, kind: Kind, index: Int) -> Int32 {
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
    public mutating func cancel(_ timer: Int32) {
        remove(at: Int(timers[Int(timer)].position))
    }

    /// Takes the earliest timer if its time has come: never early.
    public mutating func popDue(now: UInt64) -> Due? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        let timer = timers[Int(first.timer)]
        remove(at: 0)
        return Due(kind: timer.kind, index: Int(timer.index))
    }

    private mutating func remove(at position: Int) {
        let name = heap[position].timer
        let last = heap.removeLast()
        if position < heap.count {
            heap[position] = last
            timers[Int(last.timer)].position = Int32(position)
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
            heap[position] = heap[parent]
            timers[Int(heap[position].timer)].position = Int32(position)
            position = parent
        }
        heap[position] = node
        timers[Int(node.timer)].position = Int32(position)
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
            heap[position] = heap[smallest]
            timers[Int(heap[position].timer)].position = Int32(position)
            position = smallest
        }
        heap[position] = node
        timers[Int(node.timer)].position = Int32(position)
    }
}
