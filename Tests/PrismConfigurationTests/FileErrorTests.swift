import Testing

@testable import PrismConfiguration

@Suite("Errors in the file name the line, the key and the remedy")
struct FileErrorTests {
    @Test(
        "One error, exactly",
        arguments: [
            // Unknown names.
            ("limit:\n  a: 1\n", "prism.yaml:1: limit: unknown section; did you mean limits?"),
            (
                "\nlimits:\n  frame_byte: 1\n",
                "prism.yaml:3: limits.frame_byte: unknown setting; did you mean frame_bytes?"
            ),
            (
                "limits:\n  Frame-Bytes: 1\n",
                "prism.yaml:2: limits.Frame-Bytes: unknown setting; did you mean frame_bytes?"
            ),
            (
                "limits:\n  reactors: 1\n",
                "prism.yaml:2: limits.reactors: unknown setting; did you mean runtime.reactors?"
            ),
            ("reactors: 1\n", "prism.yaml:1: reactors: unknown section; did you mean runtime.reactors?"),
            ("drain.mode: native\n", "prism.yaml:1: drain.mode: unknown section; write drain: and mode: below it"),
            ("runtime:\n  something: 1\n", "prism.yaml:2: runtime.something: unknown setting; runtime has reactors"),
            // Wrong kinds.
            (
                "limits: 5\n",
                "prism.yaml:1: limits: a single value stands where a mapping is expected; write its keys below it, indented"
            ),
            (
                "limits:\n  - a\n",
                "prism.yaml:1: limits: a list stands where a mapping is expected; write its keys below it, indented"
            ),
            (
                "log:\n  level:\n    a: b\n",
                "prism.yaml:2: log.level: a mapping stands where a single value is expected; use debug, info, warning, error"
            ),
            (
                "log:\n  level: [info]\n",
                "prism.yaml:2: log.level: a list stands where a single value is expected; use debug, info, warning, error"
            ),
            (
                "readiness:\n  backends: main\n",
                "prism.yaml:2: readiness.backends: a single value stands where a list is expected; write it as [a, b]"
            ),
            (
                "readiness:\n  backends: [[main]]\n",
                "prism.yaml:2: readiness.backends: a list stands in the list; write names only"
            ),
            (
                "backends: main\n",
                "prism.yaml:1: backends: a single value stands where a list is expected; begin each entry with a dash"
            ),
            (
                "backends:\n  - main\n",
                "prism.yaml:2: backends[0]: a single value stands where a mapping is expected; write key: value behind the dash"
            ),
            ("- a\n", "prism.yaml:1: the file holds a list; write sections, such as socket: with path: below it"),
            (
                "log:\n  level:\n",
                "prism.yaml:2: log.level: it has no value; give one, or remove the key to keep the default"
            ),
            (
                "log:\n  level: ~\n",
                "prism.yaml:2: log.level: it has no value; give one, or remove the key to keep the default"
            ),
            // YAML that is refused.
            (
                "log:\n  level: info\nlog:\n  level: info\n",
                "prism.yaml:3: log: the key is already on line 1; keep one of the two"
            ),
            (
                "log:\n  level: info\n  level: info\n",
                "prism.yaml:3: level: the key is already on line 2; keep one of the two"
            ),
            (
                "log: &x\n  level: info\n",
                "prism.yaml:1: anchors (&x) are not supported; write the value where it is needed"
            ),
            ("log: *x\n", "prism.yaml:1: aliases (*name) are not supported; write the value itself"),
            (
                "log:\n  level: !!str info\n",
                "prism.yaml:2: tags (tag:yaml.org,2002:str) are not supported; remove the tag; the setting decides its type"
            ),
            ("? [a]\n: b\n", "prism.yaml:1: a list stands where a key is expected; write key: value"),
            ("log:\n---\nlog:\n", "prism.yaml:2: a second document starts here; keep one document a file"),
            (
                "log: [[[[[[[[[1]]]]]]]]]\n",
                "prism.yaml:1: nested deeper than 8 levels; remove the inner levels"
            ),
        ])
    func one(yaml: String, expected: String) {
        #expect(errors(yaml) == [expected])
    }

    @Test(
        "Broken YAML is one error with the line where the parser stopped",
        arguments: [
            ("log:\n\tlevel: info\n", 2), ("log:\n  level: \"info\n", 3), ("a: b: c\n", 1), ("log: [1, 2\n", 2),
            ("log:\n  level: info\n }\n", 3), ("log: {level: info\nlimits:\n", 2), ("%BAD\n---\n", 1),
            ("log:\n  level: \u{7}info\n", 2),
        ])
    func broken(yaml: String, line: Int) {
        let found = errors(yaml)
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("prism.yaml:\(line): not valid YAML: ") == true, "\(found)")
    }

    @Test("Text that is not UTF-8 is refused with its line")
    func badUTF8() {
        for bad: [UInt8] in [
            [0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x80], [0xe2, 0x82],
        ] {
            do throws(ConfigurationErrors) {
                let bytes = Array("log:\n  level: in".utf8) + bad + Array("fo\n".utf8)
                _ = try Configuration.parse(yaml: bytes, fileName: "prism.yaml")
                Issue.record("accepted \(bad)")
            } catch {
                #expect(error.description == "prism.yaml:2: the text is not UTF-8; save the file as UTF-8")
            }
        }
        #expect(errors("log:\n  # größer 🙂 \u{10ffff}\n  level: info\n").isEmpty)
    }

    @Test("A file of 1 MiB is read, one byte more is refused")
    func size() {
        let comment = "#" + String(repeating: "x", count: (1 << 20) - 2) + "\n"
        #expect(errors(comment).isEmpty)
        #expect(errors(comment + "\n") == ["prism.yaml: the file has 1048577 bytes; use at most 1MiB"])
    }

    @Test("A hundred errors are reported and the rest counted")
    func manyErrors() {
        let yaml = "limits:\n" + (0..<150).map { "  wrong_\($0): 1\n" }.joined()
        do throws(ConfigurationErrors) {
            _ = try parse(yaml)
            Issue.record("accepted")
        } catch {
            #expect(error.errors.count == 100)
            #expect(error.omitted == 50)
            #expect(error.description.hasSuffix("\nand 50 more"))
        }
    }

    @Test("What the file says cannot steer a terminal, and long text is cut")
    func printable() {
        #expect(errors("\"a\\e[31mb\\u202e\": 1\n")[0].hasPrefix("prism.yaml:1: a\\u{1B}[31mb\\u{202E}: unknown"))
        #expect(errors(String(repeating: "k", count: 900) + ": 1\n")[0].count < 300)
    }
}
