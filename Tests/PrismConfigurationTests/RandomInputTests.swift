import Testing

@testable import PrismConfiguration

@Suite("Random input")
struct RandomInputTests {
    /// Either a value or errors with a place, never the end of the process.
    private func feed(_ bytes: [UInt8]) -> Bool {
        do throws(ConfigurationErrors) {
            _ = try Configuration.parse(yaml: bytes, fileName: "prism.yaml").show(json: true)
            return true
        } catch {
            #expect(!error.errors.isEmpty)
            #expect(!error.description.isEmpty)
            return false
        }
    }

    @Test("The sample with random damage never ends the process", arguments: [1, 2, 3] as [UInt64])
    func damagedSample(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        // Without its comments, so that damage hits something.
        let sample = Array(
            try Repository.text("prism.yaml").split(separator: "\n").filter { !$0.contains("# ") }.joined(
                separator: "\n"
            ).utf8)
        let special = Array("&*!|>'\"%@`{}[],:#-?~\t\n\r 0\u{0}\\\u{FEFF}".utf8) + [0xff, 0xc0, 0x80]
        var accepted = 0
        for _ in 0..<1_500 {
            var bytes = sample
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<6, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.insert(special.randomElement(using: &generator) ?? 0, at: place)
                case 2: bytes.remove(at: place)
                case 3: bytes.removeSubrange(place..<min(bytes.count, place + 40))
                case 4:
                    let from = Int.random(in: 0..<bytes.count, using: &generator)
                    bytes.insert(contentsOf: bytes[from..<min(bytes.count, from + 60)], at: place)
                default: bytes.removeSubrange(max(1, place)...)
                }
                if bytes.isEmpty { bytes = sample }
            }
            if feed(bytes) { accepted += 1 }
        }
        // The damage must neither always nor never matter, or the test tests nothing.
        #expect(accepted > 0 && accepted < 1_500)
    }

    @Test("Random bytes and random YAML signs never end the process")
    func noise() {
        var generator = SeededGenerator(state: 42)
        let signs = Array("abc:-?[]{}&*!|>'\"%#~ \n\t,0".utf8)
        for round in 0..<3_000 {
            let count = Int.random(in: 0...200, using: &generator)
            _ = feed(
                (0..<count).map { _ in
                    round.isMultiple(of: 2)
                        ? UInt8.random(in: 0...255, using: &generator) : signs.randomElement(using: &generator) ?? 0
                })
        }
    }

    @Test("Deep nesting and long lines are refused quickly, whatever opens them")
    func bombs() {
        for text in ["[", "{", "- ", "? ", "a: {", "!!", "&a ", "\"", "a: &a [*a, "] {
            _ = feed(Array(String(repeating: text, count: 200_000 / text.utf8.count).utf8))
        }
    }

    @Test("Values of random characters are never accepted out of their form")
    func values() {
        var generator = SeededGenerator(state: 7)
        let signs = Array("0123456789.usmhKMGiB-+eEx_ ")
        for _ in 0..<20_000 {
            let text = String(
                (0..<Int.random(in: 0...8, using: &generator)).compactMap { _ in signs.randomElement(using: &generator)
                })
            if let duration = try? DurationText.parse(text) {
                #expect((try? DurationText.parse(DurationText.render(duration))) == duration, "\(text)")
            }
            if let size = try? SizeText.parse(text) {
                #expect((try? SizeText.parse(SizeText.render(size))) == size, "\(text)")
            }
            _ = try? ModeText.parse(text)
            _ = Configuration.TCPAddress(text)
            try? ConnectionString.check(text)
        }
    }
}
