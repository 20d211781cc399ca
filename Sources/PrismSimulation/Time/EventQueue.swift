/// What happens outside of the server, by virtual time; equal times in the order they were added.
struct EventQueue<Event> {
    private struct Node {
        let time: UInt64
        let sequence: UInt64
        let event: Event

        func isBefore(_ other: Node) -> Bool { (time, sequence) < (other.time, other.sequence) }
    }

    private var heap: [Node] = []
    private var sequence: UInt64 = 0

    var nextTime: UInt64 { heap.first?.time ?? .max }

    mutating func add(_ event: Event, at time: UInt64) {
        sequence += 1
        heap.append(Node(time: time, sequence: sequence, event: event))
        var child = heap.count - 1
        while child > 0, heap[child].isBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popDue(_ now: UInt64) -> (time: UInt64, event: Event)? {
        guard let first = heap.first, first.time <= now else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [parent * 2 + 1, parent * 2 + 2] where child < heap.count {
                    if heap[child].isBefore(heap[least]) { least = child }
                }
                guard least != parent else { break }
                heap.swapAt(parent, least)
                parent = least
            }
        }
        return (first.time, first.event)
    }
}
