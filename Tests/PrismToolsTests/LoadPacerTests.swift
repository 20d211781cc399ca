import Testing

@testable import PrismTools

@Suite struct LoadPacerTests {
    @Test(arguments: [1, 3, 7, 1_000, 19_999, 1_000_000] as [UInt64])
    func requestsComeAtEvenTimesAndNeverDrift(_ rate: UInt64) {
        let start: UInt64 = 1_000_000_007
        var pacer = LoadPacer(ratePerSecond: rate, start: start)
        var previous: UInt64?
        for number in 0..<min(3 * rate, 40_000) {
            let time = pacer.next
            #expect(pacer.take(now: time - 1) == nil)
            #expect(pacer.due(before: time) == 0)
            #expect(pacer.due(before: time + 1) == 1)
            #expect(pacer.take(now: time) == time)
            if let previous {
                #expect(time > previous)
                #expect(time - previous <= 1_000_000_000 / rate + 1)
            }
            if number % rate == 0 { #expect(time == start + number / rate * 1_000_000_000) }
            previous = time
        }
    }

    @Test func whatWasNotTakenStaysDueAtItsOwnTime() {
        var pacer = LoadPacer(ratePerSecond: 1_000, start: 0)
        #expect(pacer.due(before: 1_000_000_000) == 1_000)
        let late = 5_000_000_000 as UInt64
        #expect((0..<4).map { _ in pacer.take(now: late) } == [0, 1_000_000, 2_000_000, 3_000_000])
        #expect(pacer.due(before: 1_000_000_000) == 996)
        #expect(pacer.taken == 4)
        #expect(pacer.skip(before: 1_000_000_000) == 996)
        #expect(pacer.take(now: late) == 1_000_000_000)
    }

    @Test func placesAreUsedInTurn() {
        var places = LoadPlaces(connections: 2, slots: 2)
        var taken: [String] = []
        while let place = places.pop() { taken.append("\(place.connection).\(place.slot)") }
        #expect(taken == ["0.0", "1.0", "0.1", "1.1"])
        places.push(connection: 1, slot: 1)
        places.push(connection: 0, slot: 1)
        #expect(places.count == 2)
        #expect(places.pop().map { "\($0.connection).\($0.slot)" } == "1.1")
        places.push(connection: 1, slot: 1)
        #expect(places.pop().map { "\($0.connection).\($0.slot)" } == "0.1")
    }

    @Test func aStatementOfItsOwnHasNoParameter() throws {
        var plan = LoadPlan(workload: .sql, socketPath: "", run: "1a2b")
        plan.statement = String(repeating: "x", count: LoadPlan.statementBytesMax)
        var writer = LoadRequestWriter(plan: plan, seed: 1)
        try LoadTests().decode(&writer, id: 9) { request in
            #expect(request.query?.sql.string == plan.statement)
            #expect(request.query?.n_parameters == 0)
        }
    }
}
