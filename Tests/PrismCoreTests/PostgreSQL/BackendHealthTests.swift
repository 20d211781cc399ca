import Testing

@testable import PrismCore

@Suite struct BackendHealthTests {
    private func engine(_ problem: String = "", isDown: Bool = false) -> EngineSnapshot {
        EngineSnapshot(
            idle: 0, leased: 0, connecting: 0, waiting: 0, isDown: isDown, problem: problem, invariantViolations: 0)
    }

    @Test func eachChangeIsToldOnce() {
        var health = BackendHealth()
        #expect(health.update([engine(), engine()]) == nil)
        #expect(health.update([engine(), engine("refused", isDown: true)]) == .down(reason: "refused"))
        #expect(health.update([engine("refused", isDown: true), engine("gone", isDown: true)]) == nil)
        #expect(health.update([engine(), engine("gone", isDown: true)]) == nil)
        #expect(health.update([engine("a schema problem"), engine()]) == .up)
        #expect(health.update([engine(), engine()]) == nil)
    }
}
