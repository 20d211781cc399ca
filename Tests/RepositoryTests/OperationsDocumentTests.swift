import Testing

/// docs/operations.md is what someone reads at three in the morning: it knows every name that the program can print.
@Suite struct OperationsDocumentTests {
    static let document = Repository.text(of: "docs/operations.md") ?? ""
    static let sources = Repository.files(under: "Sources", suffix: ".swift").compactMap { Repository.text(of: $0) }

    @Test("every log event is explained, and no other")
    func logEvents() {
        var events: Set<String> = []
        for source in Self.sources {
            for match in source.matches(of: #/\b(?:log|self)\.(?:debug|info|warning|error)\(\s*"([a-z_]+)"/#) {
                events.insert(String(match.1))
            }
        }
        #expect(events.count > 10)
        let table = Self.section("## The log")
        let explained = Set(
            table.split(separator: "\n").filter { $0.hasPrefix("| `") }
                .flatMap { ($0.split(separator: "|").first ?? "").matches(of: #/`([a-z_]+)`/#).map { String($0.1) } })
        #expect(explained == events)
    }

    @Test("every metric is named, and no other")
    func metrics() {
        let text = Repository.text(of: "Sources/PrismAdmin/Rendering/MetricsText.swift") ?? ""
        let metrics = Set(text.matches(of: #/"(prism_[a-z_]+)"/#).map { String($0.1) })
        #expect(metrics.count > 10)
        let named = Set(Self.document.matches(of: #/`(prism_[a-z_]+)`/#).map { String($0.1) })
        #expect(named == metrics)
    }

    private static func section(_ heading: String) -> Substring {
        guard let start = document.range(of: heading + "\n")?.upperBound else { return "" }
        let rest = document[start...]
        return rest[..<(rest.range(of: "\n## ")?.lowerBound ?? rest.endIndex)]
    }
}
