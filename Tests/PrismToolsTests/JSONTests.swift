import PrismTools
import Testing

@Suite struct JSONTests {
    func text(_ fill: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        fill(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func membersAndElementsAreSeparatedByCommas() {
        let json = text { json in
            json.beginObject()
            json.field("a", 1)
            json.key("b")
            json.beginArray()
            json.bool(true)
            json.null()
            json.beginArray()
            json.endArray()
            json.beginObject()
            json.endObject()
            json.endArray()
            json.field("c", "x")
            json.endObject()
        }
        #expect(json == #"{"a":1,"b":[true,null,[],{}],"c":"x"}"#)
    }

    @Test func stringsAreEscaped() {
        #expect(text { $0.string("\"\\\n\r\t\u{0}\u{1F}ü😀") } == #""\"\\\n\r\t\u0000\u001fü😀""#)
    }

    @Test func bytesThatAreNotUTF8GoUnderAnotherKeyAsBase64() {
        let json = text { json in
            json.beginObject()
            [UInt8]([0xFF, 0xFE]).withUnsafeBytes { json.field("value", bytes: $0) }
            Array("ok".utf8).withUnsafeBytes { json.field("key", bytes: $0) }
            json.endObject()
        }
        #expect(json == #"{"value_base64":"//4=","key":"ok"}"#)
    }

    @Test func numbersThatJSONCannotHoldAreStrings() {
        #expect(text { $0.double(.infinity) } == #""inf""#)
        #expect(text { $0.double(1.5) } == "1.5")
        #expect(text { $0.integer(UInt64.max) } == "18446744073709551615")
    }

    @Test func whatWasWrittenIsReadBack() {
        let json = #"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00\n",true,false,null],"b":{}}"#
        #expect(
            JSONValue(parsing: " \(json)\n")
                == .object([
                    (
                        "a",
                        .array([.number("1"), .number("-2.5e3"), .string("xé😀\n"), .bool(true), .bool(false), .null])
                    ), ("b", .object([])),
                ]))
    }

    @Test(arguments: [
        "", "{", "[1,]", #"{"a"}"#, #"{"a":1,}"#, "tru", "1 2", #""\x""#, #""\ud800""#, "\"\n\"", "nan", "+1",
        String(repeating: "[", count: 100_000),
    ])
    func whatIsNotJSONIsRefused(_ text: String) {
        #expect(JSONValue(parsing: text) == nil)
    }

    @Test func statusIsShownAsAnOutline() throws {
        let json = try #require(
            JSONValue(
                parsing: #"{"ready":true,"drain":{"state":"SERVING"},"backends":[{"name":"main","queue_depth":3}]}"#))
        #expect(
            JSONOutline.text(json) == """
                ready: yes
                drain:
                  state: SERVING
                backends:
                 name | queue depth
                ------+-------------
                 main |           3

                """)
    }
}
