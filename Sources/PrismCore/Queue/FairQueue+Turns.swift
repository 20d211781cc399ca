/// Whose turn it is.
extension FairQueue {
    /// What a request of a flow has taken of the backend, its connection held for a transaction included.
    public mutating func served(_ flow: Flow, in nanoseconds: UInt64) {
        let time = max(nanoseconds, QueueRules.costMinNanoseconds)
        func moved(_ mean: UInt64) -> UInt64 { mean - mean / 8 + time / 8 }
        typicalCost = moved(typicalCost)
        let lane = lane(of: flow) ?? remember(flow)
        lanes.withPlaces { $0[lane].cost = $0[lane].cost == 0 ? time : moved($0[lane].cost) }
    }

    /// Nil: nothing is known of it.
    @inline(__always)
    func lane(of flow: Flow) -> Int? { laneByFlow.find(laneByFlow.hash(of: flow)) { lanes[$0].flow == flow } }

    @inline(never)
    mutating func remember(_ flow: Flow) -> Int {
        if lanes.count - freeLanes.count - busy.count >= QueueRules.pastFlowsMax { forgetIdleLanes() }
        let lane = freeLanes.popLast() ?? lanes.count
        if lane == lanes.count { lanes.append(Lane(flow: flow)) } else { lanes[lane] = Lane(flow: flow) }
        laneByFlow.insert(lane, hash: laneByFlow.hash(of: flow))
        return lane
    }

    private mutating func forgetIdleLanes() {
        laneByFlow.removeAll()
        freeLanes.removeAll(keepingCapacity: true)
        for lane in lanes.indices {
            if lanes[lane].count == 0 {
                freeLanes.append(lane)
            } else {
                laneByFlow.insert(lane, hash: laneByFlow.hash(of: lanes[lane].flow))
            }
        }
    }

    /// The flow's next request is taken: it pays for it in advance, with what its requests have taken of late.
    mutating func charge(_ lane: Int) {
        let order = nextOrder()
        lanes.withPlaces { lanes in
            // A flow that was passed over may be behind it.
            virtualTime = max(virtualTime, lanes[lane].start)
            let cost = (lanes[lane].cost == 0 ? typicalCost : lanes[lane].cost) / UInt64(lanes[lane].flow.weight)
            let finish = saturatingSum(virtualTime, max(1, cost))
            (lanes[lane].start, lanes[lane].finish, lanes[lane].order) = (finish, finish, order)
            latestFinish = max(latestFinish, finish)
        }
        if busy.count > 1 { siftDown(lanes[lane].position) }
    }

    /// A flow that becomes busy begins where the others are: time in which it did not ask for anything is not made up for, what it
    /// has had in advance is.
    mutating func insertLane(_ lane: Int, _ flow: Flow) {
        // Nobody waits: whatever anyone had before, nobody has missed it.
        if busy.isEmpty { virtualTime = max(virtualTime, latestFinish) }
        let (order, position) = (nextOrder(), busy.count)
        lanes.withPlaces { lanes in
            // Its weight may be another one than before.
            (lanes[lane].flow, lanes[lane].slowSince) = (flow, nil)
            lanes[lane].start = max(virtualTime, lanes[lane].finish)
            (lanes[lane].order, lanes[lane].position) = (order, position)
        }
        weights += Int(flow.weight)
        busy.append(lane)
        if position > 0 { siftUp(position) }
    }

    mutating func removeLane(_ index: Int) {
        setOverloaded(index, false)
        weights -= Int(lanes[index].flow.weight)
        let (last, position) = (busy.removeLast(), lanes[index].position)
        guard last != index else { return }
        busy[position] = last
        lanes[last].position = position
        siftDown(position)
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
        return busy.filter { mayBeServed(lanes[$0].flow) }.min { lanes[$0].goesBefore(lanes[$1]) }
    }

    private mutating func siftUp(_ start: Int) {
        busy.withPlaces { busy in
            lanes.withPlaces { lanes in
                var position = start
                while position > 0, lanes[busy[position]].goesBefore(lanes[busy[(position - 1) / 2]]) {
                    Self.exchange(position, (position - 1) / 2, busy, lanes)
                    position = (position - 1) / 2
                }
            }
        }
    }

    private mutating func siftDown(_ start: Int) {
        let count = busy.count
        busy.withPlaces { busy in
            lanes.withPlaces { lanes in
                var position = start
                while true {
                    var first = position
                    let left = 2 * position + 1
                    if left < count, lanes[busy[left]].goesBefore(lanes[busy[first]]) { first = left }
                    if left + 1 < count, lanes[busy[left + 1]].goesBefore(lanes[busy[first]]) { first = left + 1 }
                    guard first != position else { return }
                    Self.exchange(position, first, busy, lanes)
                    position = first
                }
            }
        }
    }

    private static func exchange(_ first: Int, _ second: Int, _ busy: Places<Int>, _ lanes: Places<Lane>) {
        (busy[first], busy[second]) = (busy[second], busy[first])
        lanes[busy[first]].position = first
        lanes[busy[second]].position = second
    }
}

extension FairQueue.Lane {
    @inline(__always)
    func goesBefore(_ other: Self) -> Bool { start != other.start ? start < other.start : order < other.order }
}
