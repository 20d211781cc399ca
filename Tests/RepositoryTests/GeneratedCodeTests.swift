import Testing

@Suite struct GeneratedCodeTests {
    @Test(
        "the committed C is what proto/prism/v1/prism.proto gives",
        .enabled(if: Command.exists("protoc-c"), "protoc-c is not installed"))
    func generatedCIsCurrent() throws {
        let check = try Command.run("scripts/regenerate-proto.sh", "--check")
        #expect(check.status == 0, "\(check.output)")
    }

    /// Clients in the field keep sending old numbers for years.
    @Test("header fields of Request and Response keep the numbers below 16, operations the ones above")
    func headerFieldsAreLow() throws {
        let text = try #require(Repository.text(of: "proto/prism/v1/prism.proto"))
        for message in ["Request", "Response"] {
            let start = try #require(text.range(of: "\nmessage \(message) {"))
            let end = try #require(text[start.upperBound...].range(of: "\n}"))
            var isInOneof = false
            var fields = 0
            for line in text[start.upperBound..<end.lowerBound].split(separator: "\n") {
                if line.contains("oneof ") { isInOneof = true }
                guard let match = line.firstMatch(of: #/^\s+(?:repeated )?[\w.]+ (\w+) = (\d+);/#),
                    let number = Int(match.2)
                else { continue }
                fields += 1
                #expect((number >= 16) == isInOneof, "\(message).\(match.1) = \(number)")
            }
            #expect(fields > 15, "the fields of \(message) were not found")
        }
    }
}
