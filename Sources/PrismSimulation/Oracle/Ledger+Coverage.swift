import PrismCore
import PrismWire

extension Ledger {
    /// Which situations an answer proves to have been there.
    func cover(_ answer: Answer, _ request: RequestRecord) {
        switch (answer.code, answer.stage, answer.outcome) {
        case (.ok, _, _): break
        case (.cancelled, .queue, _): coverage.saw(.cancelInQueue)
        case (.cancelled, _, _): coverage.saw(.cancelWhileRunning)
        case (.deadlineExceeded, .admission, _): coverage.saw(.expiredOnArrival)
        case (.deadlineExceeded, .queue, _): coverage.saw(.deadlineInQueue)
        case (.deadlineExceeded, _, .unknown): coverage.saw(.deadlineDuringCommit)
        case (.deadlineExceeded, _, _): coverage.saw(.deadlineWhileRunning)
        case (.resourceExhausted, .admission, _): coverage.saw(.limitRefused)
        case (.failedPrecondition, .queue, _): coverage.saw(.transactionPoisoned)
        case (.aborted, .queue, _): coverage.saw(.transactionLimit)
        default: break
        }
    }
}
