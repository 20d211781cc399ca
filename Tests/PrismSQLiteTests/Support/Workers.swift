import Foundation
import Testing

/// Looks again and again until it holds; for what depends on the clock of the wall. Bounded by the safety net.
func until(_ location: SourceLocation = #_sourceLocation, _ holds: () throws -> Bool) throws {
    let end = ContinuousClock.now + .seconds(TestBackend.waitSecondsMax)
    while try !holds() {
        guard ContinuousClock.now < end else {
            Issue.record("it did not come", sourceLocation: location)
            throw TestBackend.Hang()
        }
    }
}

/// Runs `body` for every element on a few threads of its own: the cases of a sweep mostly wait. What they return is put
/// together.
func concurrently<T: Sendable>(_ elements: [T], threads: Int = 8, _ body: @escaping @Sendable (T) -> [String])
    -> [String]
{
    let shared = Cases(elements)
    let done = DispatchGroup()
    for _ in 0..<threads {
        done.enter()
        Thread {
            while let element = shared.next() { shared.add(body(element)) }
            done.leave()
        }.start()
    }
    done.wait()
    return shared.results
}

private final class Cases<T: Sendable>: @unchecked Sendable {
    let lock = NSLock()
    var rest: [T]
    var results: [String] = []
    init(_ elements: [T]) { rest = elements.reversed() }
    func next() -> T? { lock.withLock { rest.popLast() } }
    func add(_ more: [String]) { lock.withLock { results += more } }
}
