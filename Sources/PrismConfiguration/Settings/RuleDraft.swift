/// A rule while it is read, and for showing it.
struct RuleDraft: Sendable {
    var uid: UInt32?
    var gid: UInt32?
    var backends: [String]?
    var namespaces: [String]?
    var readOnly = false
    var statements = Configuration.AccessRule.Statements.any
    var label: String?
    var weight = 1
    var connections: Int?
    var inFlight: Int?
    var bufferedBytes: Int?
    var transactions: Int?

    init() {}

    init(_ rule: Configuration.AccessRule) {
        switch rule.subject {
        case .uid(let id): uid = id
        case .gid(let id): gid = id
        }
        backends = rule.backends
        namespaces = rule.namespaces
        readOnly = rule.readOnly
        statements = rule.statements
        label = rule.label
        weight = rule.weight
        connections = rule.connections
        inFlight = rule.inFlight
        bufferedBytes = rule.bufferedBytes
        transactions = rule.transactions
    }

    /// `nil` unless exactly one of uid and gid is set.
    var rule: Configuration.AccessRule? {
        let subject: Configuration.AccessRule.Subject
        switch (uid, gid) {
        case (let id?, nil): subject = .uid(id)
        case (nil, let id?): subject = .gid(id)
        default: return nil
        }
        return Configuration.AccessRule(
            subject: subject, backends: backends, namespaces: namespaces, readOnly: readOnly, statements: statements,
            label: label,
            weight: weight, connections: connections, inFlight: inFlight, bufferedBytes: bufferedBytes,
            transactions: transactions)
    }
}
