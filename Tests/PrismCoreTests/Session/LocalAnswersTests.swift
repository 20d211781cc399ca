import Testing

@testable import PrismCore

@Suite struct LocalAnswersTests {
    /// What the multiplexer is told of a request that it does not have, it counts as late.
    @Test("answers go straight to the multiplexer during a turn only, and never past one that waits in the mailbox")
    func order() {
        var mailbox: [Int] = []
        let multiplexer = Multiplexer(settings: MultiplexerSettings())
        let answers = LocalAnswers(multiplexer: multiplexer) { completion, _ in
            mailbox.append(completion.reference.slot)
        }
        func deliver(_ slot: Int) -> Bool {
            let reference = RequestReference(reactor: 0, slot: slot, generation: 1)
            return answers.deliver(
                Completion(reference: reference, kind: .final), body: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        func drained(saying slot: Int? = nil) -> [Int] {
            answers.mailboxIsDrained()
            defer { mailbox = slot.map { [$0] } ?? [] }
            if let slot { #expect(!deliver(slot)) }
            return mailbox.filter { $0 != slot }
        }

        #expect(answers.duringTurn(5) { deliver(1) })
        #expect((multiplexer.metrics.lateCompletions, answers.takeCount(), mailbox.isEmpty) == (1, 1, true))
        #expect(!deliver(2))
        #expect(!answers.duringTurn(6) { deliver(3) }, "an answer overtook another")
        #expect((multiplexer.metrics.lateCompletions, answers.takeCount()) == (1, 0))
        #expect(drained(saying: 9) == [2, 3])
        #expect(!answers.duringTurn(7) { deliver(4) }, "what was said while the mailbox was drained waits there")
        #expect(drained() == [9, 4])
        #expect(answers.duringTurn(8) { deliver(5) })
        #expect(multiplexer.metrics.lateCompletions == 2)
    }
}
