import CSQLite
import Foundation
import Testing

/// Every call that SQLite makes of its VFS fails once, in each of several ways, under a session with writes of every sort:
/// every request gets exactly one answer, the backend recovers, and what the answers promise holds in the file, also when
/// the process had been killed or the power cut in between.
///
/// `PRISM_SWEEP_STRIDE` takes every n-th call only.
@Suite struct FaultSweepTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        var name: String
        var kinds = FaultVFS.Kinds.any
        var files = FaultVFS.Files.any
        var count: UInt64? = 1
        var code: Int32?
        var tornBytes = 0
        var testDescription: String { name }
    }

    static let faults = [
        Fault(name: "an I/O error at one call"),
        Fault(name: "I/O errors from a call on", count: nil),
        Fault(name: "a full disk at one write", kinds: .write, code: SQLITE_FULL),
        Fault(name: "a full disk from a write on", kinds: .write, count: nil, code: SQLITE_FULL),
        Fault(name: "a torn write", kinds: .write, tornBytes: 1_500),
        Fault(name: "a failing fsync", kinds: .sync),
        Fault(name: "failing fsyncs from one on", kinds: .sync, count: nil),
        Fault(name: "a lock that another process holds", kinds: [.lock, .sharedLock], code: SQLITE_BUSY),
        Fault(name: "no memory at one call", code: SQLITE_NOMEM),
    ]

    static let cuts: [(String, FaultVFS.Survivors)] = [
        ("killed", .everything), ("power cut, only what was synced survives,", .syncedOnly),
        ("power cut, some of the rest survives,", .some(seed: 7)),
    ]

    static let stride = ProcessInfo.processInfo.environment["PRISM_SWEEP_STRIDE"].flatMap { Int($0) } ?? 1

    @Test(arguments: faults) func everyCall(_ fault: Fault) throws {
        let calls = try Self.run(fault, at: nil).calls
        #expect(calls > 3)
        let problems = concurrently(Array(Swift.stride(from: 1, through: calls, by: Self.stride))) { at in
            do {
                return try Self.run(fault, at: at).problems.map { "\(fault.name), call \(at) of \(calls): \($0)" }
            } catch {
                return ["\(fault.name), call \(at) of \(calls): \(error)"]
            }
        }
        #expect(problems.isEmpty, "\(problems.count): \(problems.prefix(20).joined(separator: "\n"))")
    }

    /// - Parameter at: nil: nothing fails; the calls of the fault's kind are counted.
    static func run(_ fault: Fault, at: Int?) throws -> (calls: Int, problems: [String]) {
        let directory = try TemporaryDirectory()
        try SweepScenario.prepare(directory)
        let vfs = FaultVFS()
        vfs.record(directory)
        if let at {
            vfs.fail(
                fault.kinds, of: fault.files, at: UInt64(at), count: fault.count, code: fault.code,
                tornBytes: fault.tornBytes)
        }
        let backend = try TestBackend(
            directory, vfs: vfs,
            .init(settings: {
                $0.checkpointPages = 8
                $0.busyTimeoutMilliseconds = 20
                // Pages are read again and again, so that reads can fail.
                $0.cacheSizeBytes = 1 << 10
            }))
        var scenario = SweepScenario(backend)
        try scenario.run()
        let calls = Int(vfs.calls(fault.kinds, of: fault.files))
        let position = vfs.position
        vfs.clear()
        try scenario.expectRecovery()
        let recovered = vfs.position
        backend.stop()
        scenario.judge(directory, "after an orderly end", hasRecovered: true)
        for (moment, position) in [("before", position), ("after", recovered)] {
            for (cut, survivors) in cuts {
                let image = try TemporaryDirectory()
                #expect(vfs.makeCrashImage(at: position, survivors, in: image))
                scenario.judge(image, "\(cut) \(moment) recovery", hasRecovered: moment == "after")
            }
        }
        return (calls, scenario.problems)
    }
}
