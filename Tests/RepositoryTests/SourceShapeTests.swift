import Testing

@Suite struct SourceShapeTests {
    static let linesMax = 450

    @Test("no source file is longer than 450 lines")
    func filesAreSmall() {
        for path in Repository.files(under: "Sources") where !path.contains(".pb-c.") {
            let count = Repository.lines(of: path).count
            #expect(count <= Self.linesMax, "\(path) has \(count) lines; above 400 it is asking to be split")
        }
    }

    /// Names such as `timeoutMilliseconds` speak for themselves; a type or a function has a contract to state. Held for what
    /// stands at the top of a file; nested declarations often lean on the type around them, so those are a warning.
    @Test("every public type and function at the top level says what it is for")
    func publicDeclarationsHaveADocstring() {
        let declaration =
            #/^\s*(?:@\w+(?:\([^)]*\))?\s+)*public (?:(?:final|static|mutating|consuming|borrowing|indirect|nonisolated) )*(?:struct|class|enum|actor|protocol|func) (`?\w+`?)/#
        let libraries = Repository.files(under: "Sources", suffix: ".swift").filter {
            !$0.hasPrefix("Sources/prism/") && !$0.hasPrefix("Sources/prism-simulate/")
                && !$0.hasPrefix("Sources/prism-fuzz/")
        }
        var nested: [String] = []
        for path in libraries {
            let lines = Repository.lines(of: path)
            for (index, line) in lines.enumerated() {
                guard let match = line.firstMatch(of: declaration) else { continue }
                // Attributes may stand between the docstring and the declaration.
                let above = lines[..<index].last { line in
                    let text = line.drop { $0 == " " }
                    return !text.hasPrefix("@") && !text.hasPrefix("#if")
                }
                let isDocumented = above?.drop { $0 == " " }.hasPrefix("///") ?? false
                guard !isDocumented else { continue }
                let place = "\(path):\(index + 1): \(match.1)"
                if line.hasPrefix(" ") {
                    nested.append(place)
                } else {
                    Issue.record("\(place) is public and has no docstring")
                }
            }
        }
        if !nested.isEmpty {
            let list = nested.joined(separator: "\n")
            Issue.record("\(nested.count) nested public declarations without a docstring:\n\(list)", severity: .warning)
        }
    }

    /// A trap that input or a backend can reach takes every client of the pod down.
    @Test("no source uses try!, fatalError or unsafe flags of the compiler")
    func noTrapsByHabit() {
        for path in Repository.files(under: "Sources", suffix: ".swift") {
            for (index, line) in Repository.lines(of: path).enumerated() {
                let code = line.range(of: "//").map { line[..<$0.lowerBound] } ?? line
                for word in ["try!", "fatalError(", "unsafeBitCast(", "as!"] where code.contains(word) {
                    Issue.record("\(path):\(index + 1): \(word)")
                }
            }
        }
    }
}
