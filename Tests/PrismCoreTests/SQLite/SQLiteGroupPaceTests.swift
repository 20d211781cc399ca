import PrismCore
import Testing

@Suite("Pace of group commits") struct SQLiteGroupPaceTests {
    private static let milliseconds: UInt64 = 1_000_000

    @Test("short writes are taken many at a time, and a group of them goes on")
    func short() {
        var pace = GroupPace()
        pace.began()
        for _ in 0..<128 { pace.ran(in: 20_000) }
        #expect(pace.takenAtOnce == GroupPace.takenAtOnceMax)
        #expect(!pace.isOver)
    }

    @Test("long ones are taken one by one, and the group ends with the one that uses up its time")
    func long() {
        var pace = GroupPace()
        pace.began()
        pace.ran(in: 3 * Self.milliseconds)
        #expect(!pace.isOver)
        pace.ran(in: 30 * Self.milliseconds)
        #expect(pace.isOver)
        #expect(pace.takenAtOnce == 1)
        pace.began()
        #expect(!pace.isOver)
        #expect(pace.takenAtOnce == 1)
    }

    @Test("a single long one among short ones is forgotten after some of them")
    func mixed() {
        var pace = GroupPace()
        pace.ran(in: 30 * Self.milliseconds)
        #expect(pace.takenAtOnce == 1)
        for _ in 0..<16 { pace.ran(in: 20_000) }
        #expect(pace.takenAtOnce == GroupPace.takenAtOnceMax)
    }
}
