/// A piece of the file, with its line.
struct YAMLNode: Sendable, Equatable {
    enum Content: Sendable, Equatable {
        case scalar(String)
        /// `key:` with nothing behind it, `~` or `null`.
        case null
        case sequence([YAMLNode])
        case mapping([Entry])
        /// Something refused, which has its error already.
        case refused
    }

    struct Entry: Sendable, Equatable {
        let key: String
        /// Of the key, from 1.
        let line: Int
        let value: YAMLNode
    }

    /// From 1.
    let line: Int
    let content: Content

    /// For messages.
    var kind: String {
        switch content {
        case .scalar: "a single value"
        case .null, .refused: "nothing"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}
