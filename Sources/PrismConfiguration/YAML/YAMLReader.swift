internal import CYAML

/// Builds nodes from libyaml's events, for the part of YAML that a configuration needs: mappings, lists, scalars.
/// Anchors, aliases, tags and further documents are refused, so that no file can be larger than it looks.
final class YAMLReader {
    static let fileBytesMax = 1 << 20
    /// The deepest setting stands at 4 (backends, item, key, list).
    static let depthMax = 8

    struct Outcome {
        /// `nil`: empty, or not readable as YAML.
        var root: YAMLNode?
        var problems: [YAMLProblem] = []
        /// False if reading stopped at a problem.
        var isComplete = true
    }

    /// Allocated, because libyaml keeps the parser's own address in it.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let bytes: UnsafeBufferPointer<UInt8>
    private var problems: [YAMLProblem] = []

    static func read(_ file: [UInt8]) -> Outcome {
        if file.isEmpty { return Outcome() }
        if file.count > fileBytesMax {
            let problem = YAMLProblem(
                line: nil, "the file has \(file.count) bytes", remedy: "use at most \(SizeText.render(fileBytesMax))")
            return Outcome(problems: [problem], isComplete: false)
        }
        if let line = UTF8Check.lineOfFirstError(in: file) {
            let problem = YAMLProblem(line: line, "the text is not UTF-8", remedy: "save the file as UTF-8")
            return Outcome(problems: [problem], isComplete: false)
        }
        return file.withUnsafeBufferPointer { bytes in
            guard let reader = YAMLReader(bytes) else {
                let problem = YAMLProblem(line: nil, "there is not enough memory to read it", remedy: "try again")
                return Outcome(problems: [problem], isComplete: false)
            }
            return reader.document()
        }
    }

    /// The bytes must outlive the reader.
    private init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        self.bytes = bytes
        // If this fails it leaves a parser that may be deleted, and `deinit` does so.
        guard yaml_parser_initialize(parser) == 1 else { return nil }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    private func document() -> Outcome {
        var outcome = Outcome()
        do throws(YAMLProblem) {
            outcome.root = try firstDocument()
        } catch {
            problems.append(error)
            outcome.isComplete = false
        }
        outcome.problems = problems
        return outcome
    }

    private func firstDocument() throws(YAMLProblem) -> YAMLNode? {
        var root: YAMLNode?
        var documents = 0
        while true {
            let event = try next()
            switch event.kind {
            case .streamEnd: return root
            case .documentStart:
                documents += 1
                if documents > 1 {
                    throw YAMLProblem(
                        line: event.line, "a second document starts here", remedy: "keep one document a file")
                }
                root = try node(try next(), depth: 1)
            default: continue
            }
        }
    }

    private func node(_ event: YAMLEvent, depth: Int) throws(YAMLProblem) -> YAMLNode {
        if depth > Self.depthMax {
            throw YAMLProblem(
                line: event.line, "nested deeper than \(Self.depthMax) levels", remedy: "remove the inner levels")
        }
        refuseAnchorsAndTags(event)
        switch event.kind {
        case .scalar(let text, let isPlain):
            let isNull = isPlain && ["", "~", "null", "Null", "NULL"].contains(text)
            return YAMLNode(line: event.line, content: isNull ? .null : .scalar(text))
        case .sequenceStart: return YAMLNode(line: event.line, content: .sequence(try sequence(depth: depth)))
        case .mappingStart: return YAMLNode(line: event.line, content: .mapping(try mapping(depth: depth)))
        case .alias:
            problems.append(
                YAMLProblem(line: event.line, "aliases (*name) are not supported", remedy: "write the value itself"))
            return YAMLNode(line: event.line, content: .refused)
        case .sequenceEnd, .mappingEnd, .streamEnd, .documentStart, .other:
            throw YAMLProblem(line: event.line, "unexpected end of a value", remedy: "check the line above")
        }
    }

    private func sequence(depth: Int) throws(YAMLProblem) -> [YAMLNode] {
        var items: [YAMLNode] = []
        while true {
            let event = try next()
            if case .sequenceEnd = event.kind { return items }
            items.append(try node(event, depth: depth + 1))
        }
    }

    private func mapping(depth: Int) throws(YAMLProblem) -> [YAMLNode.Entry] {
        var entries: [YAMLNode.Entry] = []
        var lines: [String: Int] = [:]
        while true {
            let event = try next()
            if case .mappingEnd = event.kind { return entries }
            let key = try node(event, depth: depth + 1)
            let value = try node(try next(), depth: depth + 1)
            guard case .scalar(let text) = key.content else {
                if key.content != .refused {
                    problems.append(
                        YAMLProblem(
                            line: key.line, "\(key.kind) stands where a key is expected", remedy: "write key: value"))
                }
                continue
            }
            if let first = lines[text] {
                problems.append(
                    YAMLProblem(
                        line: key.line, key: text, "the key is already on line \(first)",
                        remedy: "keep one of the two"))
                continue
            }
            lines[text] = key.line
            entries.append(YAMLNode.Entry(key: text, line: key.line, value: value))
        }
    }

    private func refuseAnchorsAndTags(_ event: YAMLEvent) {
        if let anchor = event.anchor, event.kind != .alias {
            problems.append(
                YAMLProblem(
                    line: event.line, "anchors (&\(Printable.text(anchor))) are not supported",
                    remedy: "write the value where it is needed"))
        }
        if let tag = event.tag {
            problems.append(
                YAMLProblem(
                    line: event.line, "tags (\(Printable.text(tag))) are not supported",
                    remedy: "remove the tag; the setting decides its type"))
        }
    }

    private func next() throws(YAMLProblem) -> YAMLEvent {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw parserProblem() }
        defer { yaml_event_delete(&event) }
        return YAMLEvent(event)
    }

    private func parserProblem() -> YAMLProblem {
        let text = parser.pointee.problem.map { String(cString: $0) } ?? "not readable"
        if parser.pointee.error == YAML_MEMORY_ERROR {
            return YAMLProblem(line: nil, "there is not enough memory to read it", remedy: "try again")
        }
        var line = Int(parser.pointee.problem_mark.line)
        if parser.pointee.error == YAML_READER_ERROR {
            // The reader is ahead of the marks and gives an offset only.
            line = bytes.prefix(parser.pointee.problem_offset).count { $0 == UInt8(ascii: "\n") }
        }
        let context = parser.pointee.context.map { " " + String(cString: $0) } ?? ""
        return YAMLProblem(
            line: line + 1, "not valid YAML: \(text)\(context)",
            remedy: "check indentation (spaces, not tabs), colons and quotes here and on the line above")
    }
}
