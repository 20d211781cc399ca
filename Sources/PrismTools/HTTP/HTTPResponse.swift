/// An answer over HTTP/1.1.
public struct HTTPResponse: Equatable, Sendable {
    public var status: Int
    /// Names in lower case, in the order sent.
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]

    public func header(_ name: String) -> String? {
        headers.first { $0.name == name }?.value
    }

    public var text: String { String(decoding: body, as: UTF8.self) }

    public static func == (left: HTTPResponse, right: HTTPResponse) -> Bool {
        left.status == right.status && left.body == right.body
            && left.headers.elementsEqual(right.headers) { $0 == $1 }
    }
}
