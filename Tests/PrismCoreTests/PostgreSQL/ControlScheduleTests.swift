import PrismCore
import Testing

@Suite struct ControlScheduleTests {
    static let idle: UInt64 = 600_000_000_000
    static let first = ControlSchedule.backoffFirstNanoseconds

    private func opened(at now: UInt64) -> ControlSchedule {
        var schedule = ControlSchedule(idleTimeoutNanoseconds: Self.idle)
        schedule.asked(now: now)
        #expect(schedule.step(now: now) == .connect)
        schedule.opened(now: now)
        return schedule
    }

    @Test func nothingIsOpenedBeforeTheFirstCancel() {
        var schedule = ControlSchedule(idleTimeoutNanoseconds: Self.idle)
        #expect(schedule.nextDeadline == .max)
        #expect(schedule.step(now: 1 << 60) == .nothing)
        schedule.asked(now: 7)
        #expect(schedule.nextDeadline <= 7)
        #expect(schedule.step(now: 7) == .connect)
    }

    @Test func itIsClosedWhenNothingWasAskedForDuringTheIdleTimeout() {
        var schedule = opened(at: 10)
        schedule.asked(now: 1_000)
        #expect(schedule.nextDeadline == 1_000 + Self.idle)
        #expect(schedule.step(now: 999 + Self.idle) == .nothing)
        #expect(schedule.step(now: 1_000 + Self.idle) == .close)
        #expect(schedule.nextDeadline == .max)
        schedule.asked(now: 2_000 + Self.idle)
        #expect(schedule.nextDeadline == 1_000 + Self.idle + Self.first)
    }

    @Test func failuresAreFurtherAndFurtherApartUntilItServes() {
        var schedule = opened(at: 0)
        var now: UInt64 = 0
        var waits: [UInt64] = []
        for _ in 0..<10 {
            schedule.failed(now: now)
            schedule.asked(now: now)
            waits.append(schedule.nextDeadline - now)
            #expect(schedule.step(now: schedule.nextDeadline - 1) == .nothing)
            now = schedule.nextDeadline
            #expect(schedule.step(now: now) == .connect)
            schedule.opened(now: now)
        }
        #expect(waits == [1, 2, 4, 8, 16, 32, 64, 100, 100, 100].map { $0 * Self.first })
        schedule.served()
        schedule.failed(now: now)
        #expect(schedule.nextDeadline == now + Self.first)
    }

    @Test func nobodyAsksSoNobodyTriesAgain() {
        var schedule = ControlSchedule(idleTimeoutNanoseconds: 50)
        schedule.asked(now: 0)
        #expect(schedule.step(now: 0) == .connect)
        schedule.failed(now: 1)
        #expect(schedule.nextDeadline == .max)
    }

    @Test func oneThatLeadsElsewhereIsReplacedButNotAtOnce() {
        var schedule = opened(at: 100)
        schedule.asked(elsewhere: true, now: 200)
        let end = 100 + ControlSchedule.renewalNanoseconds
        #expect(schedule.nextDeadline == end)
        #expect(schedule.step(now: end) == .close)
        #expect(schedule.step(now: end) == .nothing)
        #expect(schedule.step(now: end + Self.first) == .connect)
        schedule.opened(now: end + Self.first)
        #expect(schedule.nextDeadline == 200 + Self.idle)
    }
}
