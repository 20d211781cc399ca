/// A request's line, taken apart. Headers and body mean nothing to any endpoint.
struct AdminRequest: Sendable, Equatable {
    var method: String
    var path: String
    /// Names and values as sent; nothing here needs percent-decoding.
    var query: [String: String]
    var transport: AdminTransport

    init(method: String, target: String, transport: AdminTransport) {
        self.method = method
        self.transport = transport
        var rest = Substring(target)
        // A proxy's absolute form, which RFC 9112 3.2.2 asks every server to take.
        if rest.hasPrefix("http://") {
            rest = rest.dropFirst(7)
            rest = rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
        }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts.first ?? "")
        query = [:]
        guard parts.count == 2 else { return }
        for pair in parts[1].split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            query[String(halves[0])] = halves.count == 2 ? String(halves[1]) : ""
        }
    }
}
