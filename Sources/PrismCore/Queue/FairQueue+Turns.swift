/// Whose turn it is.
extension FairQueue {
    struct Past: Sendable {
        /// What its requests have taken of late, nanoseconds; 0: unknown.
        var cost: UInt64 = 0
        /// Where it stood when its last request that was taken will be done.
        var finish: UInt64 = 0
    }

    /// What a request of a flow has taken of the backend, its connection held for a transaction included.
    public mutating func served(_ flow: Flow, in nanoseconds: UInt64) {
        let time = max(nanoseconds, QueueRules.costMinNanoseconds)
        func moved(_ mean: UInt64) -> UInt64 { mean - mean / 8 + time / 8 }
        typicalCost = moved(typicalCost)
        changePast(of: flow) { $0.cost = $0.cost == 0 ? time : moved($0.cost) }
    }

    /// One look into the table, which is in the way of every request.
    private mutating func changePast(of flow: Flow, _ change: (inout Past) -> Void) {
        if past.count >= QueueRules.pastFlowsMax, past[flow] == nil { past.removeAll(keepingCapacity: true) }
        change(&past[flow, default: Past()])
    }

    /// The flow's next request is taken: it pays for it in advance, with what its requests have taken of late.
    mutating func charge(_ lane: Int) {
        let flow = lanes[lane].flow
        // A flow that was passed over may be behind it.
        virtualTime = max(virtualTime, lanes[lane].start)
        let (now, typical) = (virtualTime, typicalCost)
        var finish: UInt64 = 0
        changePast(of: flow) { past in
            let cost = (past.cost == 0 ? typical : past.cost) / UInt64(flow.weight)
            finish = saturatingSum(now, max(1, cost))
            past.finish = finish
        }
        latestFinish = max(latestFinish, finish)
        lanes[lane].start = finish
        lanes[lane].order = nextOrder()
        siftDown(lanes[lane].position)
    }

    /// A flow that becomes busy begins where the others are: time in which it did not ask for anything is not made up for, what it
    /// has had in advance is.
    mutating func insertLane(_ flow: Flow) -> Int {
        // Nobody waits: whatever anyone had before, nobody has missed it.
        if busy.isEmpty { virtualTime = max(virtualTime, latestFinish) }
        let index = freeLanes.popLast() ?? lanes.count
        if index == lanes.count { lanes.append(Lane(flow: flow)) } else { lanes[index] = Lane(flow: flow) }
        lanes[index].start = max(virtualTime, past[flow]?.finish ?? 0)
        lanes[index].order = nextOrder()
        lanes[index].position = busy.count
        laneByFlow[flow] = index
        weights += Int(flow.weight)
        busy.append(index)
        siftUp(busy.count - 1)
        return index
    }

    mutating func removeLane(_ index: Int) {
        setOverloaded(index, false)
        let lane = lanes[index]
        laneByFlow[lane.flow] = nil
        weights -= Int(lane.flow.weight)
        freeLanes.append(index)
        let last = busy.removeLast()
        guard last != index else { return }
        busy[lane.position] = last
        lanes[last].position = lane.position
        siftDown(lane.position)
        siftUp(lanes[last].position)
    }

    private mutating func nextOrder() -> UInt64 {
        orders += 1
        return orders
    }

    // MARK: The heap

    /// The lane that is next among those of flows that may be served; nil: none of them waits.
    func next(of mayBeServed: (Flow) -> Bool) -> Int? {
        guard let first = busy.first, !mayBeServed(lanes[first].flow) else { return busy.first }
        return busy.filter { mayBeServed(lanes[$0].flow) }.min { goesBefore($0, $1) }
    }

    private func goesBefore(_ first: Int, _ second: Int) -> Bool {
        let (left, right) = (lanes[first], lanes[second])
        return left.start != right.start ? left.start < right.start : left.order < right.order
    }

    private mutating func exchange(_ first: Int, _ second: Int) {
        busy.swapAt(first, second)
        lanes[busy[first]].position = first
        lanes[busy[second]].position = second
    }

    private mutating func siftUp(_ start: Int) {
        var position = start
        while position > 0, goesBefore(busy[position], busy[(position - 1) / 2]) {
            exchange(position, (position - 1) / 2)
            position = (position - 1) / 2
        }
    }

    private mutating func siftDown(_ start: Int) {
        var position = start
        while true {
            var first = position
            let left = 2 * position + 1
            if left < busy.count, goesBefore(busy[left], busy[first]) { first = left }
            if left + 1 < busy.count, goesBefore(busy[left + 1], busy[first]) { first = left + 1 }
            guard first != position else { return }
            exchange(position, first)
            position = first
        }
    }
}
