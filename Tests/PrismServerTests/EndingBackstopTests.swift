import PrismReactor
import Testing

@testable import PrismServer

/// What forces the exit when the budget is over. `expired` stands for the end of the process.
@Suite struct EndingBackstopTests {
    /// What it was told, waited for.
    private final class Told: Sendable {
        private let codes = Monitor([Int32?]())

        func tell(_ code: Int32?) {
            codes.withLock { $0.append(code) }
            codes.notifyAll()
        }

        func first() -> Int32? { codes.wait { $0.first.map { .done($0) } ?? .wait(untilNanoseconds: .max) } }
        var count: Int { codes.withLock { $0.count } }
    }

    @Test("a budget that is used up ends the process, without a code when there was no report")
    func expires() throws {
        let told = Told()
        let backstop = EndingBackstop { told.tell($0) }
        try backstop.arm(exitByNanoseconds: MonotonicClock.now() + 1_000_000)
        #expect(told.first() == nil)
    }

    @Test("an ending that has reported keeps its exit code")
    func reported() throws {
        let told = Told()
        let backstop = EndingBackstop { told.tell($0) }
        backstop.reported(exitCode: 3)
        try backstop.arm(exitByNanoseconds: MonotonicClock.now())
        #expect(told.first() == 3)
    }

    @Test("only the first clock counts")
    func once() throws {
        let told = Told()
        let backstop = EndingBackstop { told.tell($0) }
        try backstop.arm(exitByNanoseconds: .max)
        try backstop.arm(exitByNanoseconds: 0)
        backstop.disarm()
        #expect(told.count == 0)
    }
}
