import PrismReactor
import Testing

@testable import PrismCore
@testable import PrismServer

@Suite struct LocalAnswersTests {
    /// What the multiplexer is told of a request that it does not have, it counts as late.
    @Test("answers go straight to the multiplexer during a turn only, and never past one that waits in the mailbox")
    func order() throws {
        let mailbox = CompletionMailbox(reactor: try Reactor(), bytesMax: 1 << 16)
        let multiplexer = Multiplexer(settings: MultiplexerSettings())
        let answers = LocalAnswers(multiplexer: multiplexer, mailbox: mailbox)
        func deliver(_ slot: Int) {
            let reference = RequestReference(reactor: 0, slot: slot, generation: 1)
            answers.deliver(
                Completion(reference: reference, kind: .final), body: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        func drained() -> [Int] {
            var slots: [Int] = []
            answers.mailboxIsDrained()
            mailbox.drain { completion, _ in
                slots.append(completion?.reference.slot ?? -1)
                if slots.count == 1 { deliver(9) }
            }
            return slots
        }

        answers.duringTurn(5) { deliver(1) }
        #expect((multiplexer.metrics.lateCompletions, answers.takeCount(), mailbox.isEmpty) == (1, 1, true))
        deliver(2)
        answers.duringTurn(6) { deliver(3) }
        #expect((multiplexer.metrics.lateCompletions, answers.takeCount()) == (1, 0), "an answer overtook another")
        #expect(drained() == [2, 3])
        answers.duringTurn(7) { deliver(4) }
        #expect(multiplexer.metrics.lateCompletions == 1, "what was said while the mailbox was drained waits there")
        #expect(drained() == [9, 4])
    }
}
