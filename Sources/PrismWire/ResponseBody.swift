/// Encoding of answers. A *body* is a packed `Response` without id, more and cost: whoever carried the request out writes it,
/// and the session that sends it adds those three around it (`ResponseFrame`). Protobuf merges concatenated messages, so the
/// body need not be decoded or copied into a structure on its way.
public enum ResponseBody {
    /// Packs a message into `output` with protobuf-c.
    public static func append(_ response: UnsafeMutablePointer<Prism__V1__Response>, to output: inout ByteQueue) {
        let size = prism__v1__response__get_packed_size(response)
        output.append(upTo: size) { target in
            prism__v1__response__pack(response, target.assumingMemoryBound(to: UInt8.self))
        }
    }

    /// An empty answer of the arena's, to be filled in; nil when the arena is full.
    public static func make(in arena: Arena) -> UnsafeMutablePointer<Prism__V1__Response>? {
        guard let response = arena.allocate(Prism__V1__Response.self) else { return nil }
        prism__v1__response__init(response)
        return response
    }

    /// Appends the body of a failure. Texts are cut so that the body stays below 20 KiB whatever a database said.
    public static func append(_ failure: Failure, to output: inout ByteQueue) {
        withExtendedBytes(failure.message, 8_192) { message in
            withExtendedBytes(failure.detail, 8_192) { detail in
                withExtendedBytes(failure.hint, 2_048) { hint in
                    withExtendedBytes(failure.sqlState, 5) { sqlState in
                        var body = Prism__V1__Failure()
                        prism__v1__failure__init(&body)
                        body.stage = Prism__V1__Stage(rawValue: UInt32(failure.stage.rawValue))
                        body.outcome = Prism__V1__Outcome(rawValue: UInt32(failure.outcome.rawValue))
                        body.retryable = failure.isRetryable ? 1 : 0
                        body.retry_after_microseconds = failure.retryAfterMicroseconds
                        body.sqlite_code = failure.sqliteCode
                        body.current_version = failure.currentVersion
                        body.item = failure.item
                        body.position = failure.position
                        body.message = message
                        body.detail = detail
                        body.hint = hint
                        body.sqlstate = sqlState
                        var response = Prism__V1__Response()
                        prism__v1__response__init(&response)
                        response.status = Prism__V1__Code(rawValue: UInt32(failure.code.rawValue))
                        withUnsafeMutablePointer(to: &body) { body in
                            response.failure = body
                            append(&response, to: &output)
                        }
                    }
                }
            }
        }
    }

    private static func withExtendedBytes(
        _ text: String, _ bytesMax: Int, _ body: (ProtobufCBinaryData) -> Void
    ) {
        var text = text
        text.withUTF8 { utf8 in
            var count = min(utf8.count, bytesMax)
            // Not through the middle of a character.
            while count > 0, count < utf8.count, utf8[count] & 0xC0 == 0x80 { count -= 1 }
            let data = UnsafeMutablePointer(mutating: utf8.baseAddress)
            body(ProtobufCBinaryData(len: count, data: count == 0 ? nil : data))
        }
    }
}
