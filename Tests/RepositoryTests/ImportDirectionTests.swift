import Foundation
import Testing

/// Dependencies point downwards only. The table is the one of docs/architecture.md: a module may import what stands in its
/// row and nothing else, whatever Package.swift would let through.
@Suite struct ImportDirectionTests {
    static let allowed: [String: Set<String>] = [
        // Pure: what decides. No I/O, no threads, no clock.
        "PrismWire": ["CPrismWire", "Glibc"],
        "PrismCore": ["PrismWire"],
        "PrismSimulation": ["PrismCore", "PrismWire"],
        "PrismFuzzing": ["PrismCore", "PrismWire"],

        // Thin shells.
        "PrismReactor": ["CLinux", "Glibc", "Synchronization"],
        "PrismSQLite": ["CSQLite", "Glibc", "PrismCore", "PrismReactor", "PrismWire", "Synchronization"],
        "PrismPostgreSQL": ["CPostgreSQL", "Glibc", "PrismCore", "PrismReactor", "PrismWire", "Synchronization"],
        "PrismConfiguration": ["CYAML", "Glibc", "PrismCore", "PrismWire"],
        "PrismAdmin": [
            "Glibc", "NIOConcurrencyHelpers", "NIOCore", "NIOHTTP1", "NIOPosix", "PrismCore", "PrismWire",
            "Synchronization",
        ],
        "PrismServer": [
            "CLinux", "Glibc", "PrismConfiguration", "PrismCore", "PrismPostgreSQL", "PrismReactor", "PrismSQLite",
            "PrismWire", "Synchronization",
        ],
        "PrismTools": ["CLinux", "CPostgreSQL", "Glibc", "PrismCore", "PrismReactor", "PrismWire", "Synchronization"],

        // Commands and wiring.
        "prism": [
            "ArgumentParser", "Dispatch", "Glibc", "PrismAdmin", "PrismConfiguration", "PrismCore", "PrismPostgreSQL",
            "PrismReactor", "PrismServer", "PrismSQLite", "PrismTools", "PrismWire", "Synchronization",
        ],
        "prism-simulate": ["ArgumentParser", "Glibc", "PrismSimulation"],
        "prism-fuzz": ["ArgumentParser", "Glibc", "PrismFuzzing"],
    ]

    /// One `import` of a source file.
    struct Import {
        let module: String
        let place: String
    }

    static func imports(of path: String) -> [Import] {
        // `import X`, `public import X`, `@_exported public import X`, `import struct X.Y`.
        let statement =
            #/^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)/#
        return Repository.lines(of: path).enumerated().compactMap { index, line in
            guard let match = line.firstMatch(of: statement) else { return nil }
            return Import(module: String(match.1), place: "\(path):\(index + 1)")
        }
    }

    static let sources = Repository.files(under: "Sources", suffix: ".swift")

    @Test("the imports of a module stay within its row of the table")
    func importsPointDownwards() {
        #expect(Self.sources.count > 30, "the sources were not found")
        for path in Self.sources {
            let module = String(path.split(separator: "/")[1])
            guard let allowed = Self.allowed[module] else {
                Issue.record("\(path): the module \(module) has no row in the table of import directions")
                continue
            }
            for found in Self.imports(of: path) where !allowed.contains(found.module) && found.module != module {
                Issue.record("\(found.place): \(module) may not import \(found.module)")
            }
        }
    }

    @Test("the table itself has no cycle")
    func tableHasNoCycle() {
        var settled: Set<String> = []
        func visit(_ module: String, _ path: [String]) {
            guard !path.contains(module) else {
                Issue.record("a cycle of imports: \((path + [module]).joined(separator: " > "))")
                return
            }
            guard !settled.contains(module) else { return }
            for next in Self.allowed[module, default: []].sorted() { visit(next, path + [module]) }
            settled.insert(module)
        }
        for module in Self.allowed.keys.sorted() { visit(module, []) }
    }

    /// Foundation brings 40 MB of ICU into a static binary, and its essentials bring habits (locks, copies, exceptions to
    /// typed throws) that the data path has no room for.
    @Test("no source imports Foundation or a part of it")
    func noFoundation() {
        for path in Self.sources {
            for found in Self.imports(of: path) where found.module.hasPrefix("Foundation") {
                Issue.record("\(found.place): imports \(found.module); use Glibc")
            }
        }
    }

    /// The simulator replays a run from its seed. A clock, an unseeded random number or a thread in the core would end that.
    @Test("the pure modules read no clock, draw no unseeded random number and start no thread")
    func pureModulesStayPure() {
        let banned = [
            "clock_gettime", "gettimeofday", "ContinuousClock", "SuspendingClock", "SystemRandomNumberGenerator",
            ".random(in:", ".randomElement()", ".shuffled()", ".shuffle()", "pthread_", "Task {", "Task.detached",
            "DispatchQueue", "usleep(", "nanosleep(", "getenv(", "FileHandle",
        ]
        let pure = ["PrismWire", "PrismCore", "PrismSimulation", "PrismFuzzing"]
        for path in Self.sources where pure.contains(String(path.split(separator: "/")[1])) {
            for (index, line) in Repository.lines(of: path).enumerated() {
                let code = line.range(of: "//").map { line[..<$0.lowerBound] } ?? line
                // A generator that is passed in is the simulator's own.
                guard !code.contains("using:") else { continue }
                for word in banned where code.contains(word) {
                    Issue.record("\(path):\(index + 1): \(word) in a pure module; time and chance are passed in")
                }
            }
        }
    }
}
