/// An answer before it is put on the wire.
struct AdminResponse: Sendable, Equatable {
    enum ContentType: String, Sendable {
        case text = "text/plain; charset=utf-8"
        case json = "application/json"
        case html = "text/html; charset=utf-8"
        /// Prometheus' text exposition format.
        case metrics = "text/plain; version=0.0.4; charset=utf-8"
    }

    var status: Int
    var contentType: ContentType
    var body: String
    /// The methods that this path has; sent with 405 only.
    var allow: String?
    /// HEAD: the length is sent and the body is not.
    var omitsBody = false

    init(_ status: Int, _ contentType: ContentType = .text, _ body: String, allow: String? = nil) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.allow = allow
    }
}
