import PrismTools
import Testing

@Suite struct TextTests {
    @Test(
        arguments: [
            ("250ms", 250_000_000), ("5s", 5_000_000_000), ("1.5s", 1_500_000_000), ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000), ("10us", 10_000), ("0.25ms", 250_000), ("0s", 0),
        ] as [(String, UInt64)])
    func durationsAreANumberAndAUnit(_ text: String, nanoseconds: UInt64) {
        #expect(DurationText.nanoseconds(text) == nanoseconds)
    }

    @Test(arguments: ["", "5", "s", "-1s", "1 s", "1.s", ".5s", "1.2.3s", "99999999999999h", "1e3s", "٣s", "5 seconds"])
    func everythingElseIsNoDuration(_ text: String) {
        #expect(DurationText.nanoseconds(text) == nil)
    }

    @Test func parametersInTheirUsualFormAreNumbers() {
        #expect(ParameterText.value("42") == .integer(42))
        #expect(ParameterText.value("-7") == .integer(-7))
        #expect(ParameterText.value("9223372036854775807") == .integer(.max))
        #expect(ParameterText.value("1.5") == .double(1.5))
        #expect(ParameterText.value("-0.5") == .double(-0.5))
        #expect(ParameterText.value("1e6") == .double(1_000_000))
    }

    @Test(arguments: [
        "", "007", "+1", "1.", ".5", "0x10", "1_000", "9223372036854775808", "1e999", "nan", "inf", "1,5", " 1", "-",
        "-0", "two", "01.5", "2024-01-01",
    ])
    func whatANumberWouldLoseStaysText(_ text: String) {
        #expect(ParameterText.value(text) == .text(text))
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
    ])
    func base64IsThatOfTheRFC(_ plain: String, encoded: String) {
        #expect(Array(plain.utf8).withUnsafeBytes { Base64.encode($0) } == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
    }

    @Test func base64RefusesWhatIsNone() {
        #expect(Base64.decode("a") == nil)
        #expect(Base64.decode("ab!d") == nil)
    }

    @Test func whatComesFromADatabaseDoesNotSteerTheTerminal() {
        #expect(Printable.terminal("\u{1B}[2Jx\u{9B}y\u{202E}\n") == "\\u{1b}[2Jx\\u{9b}y\\u{202e}\\n")
        let bytes: [UInt8] = [0xFF, 0x00]
        #expect(bytes.withUnsafeBytes { Printable.terminal($0) } == "\\xff00")
    }

    @Test func linesOfFieldsStayLinesOfFields() {
        let bytes = Array("a\tb\nc\\d".utf8)
        let field = bytes.withUnsafeBytes { Printable.tabSeparated($0) }
        #expect(String(decoding: field, as: UTF8.self) == #"a\tb\nc\\d"#)
    }

    @Test func expiryIsUTC() {
        #expect(TimeText.utc(milliseconds: 1_700_000_000_123) == "2023-11-14T22:13:20Z")
        #expect(TimeText.utc(milliseconds: 0) == "-")
    }

    @Test func aTableIsAlignedAndNumbersStandRight() {
        var table = TextTable(headings: ["id", "name"])
        #expect(table.append([.init("1", isRightAligned: true), .init("one")]) == "")
        #expect(table.append([.init("22", isRightAligned: true), .init("x")]) == "")
        #expect(table.finish() == " id | name\n----+------\n  1 | one\n 22 | x\n")
    }

    @Test func aLongAnswerIsPrintedAsItComes() {
        var table = TextTable(headings: ["n"])
        for index in 1..<TextTable.measuredRowsMax { #expect(table.append([.init("\(index)")]) == "") }
        #expect(!table.append([.init("last measured")]).isEmpty)
        #expect(table.append([.init("next")]).hasPrefix(" next"))
        #expect(table.finish() == "")
    }
}
