extension Configuration {
    /// A group as configured; a name is looked up by whoever uses it.
    public enum Group: Sendable, Hashable, CustomStringConvertible {
        case name(String)
        case id(UInt32)

        /// A text of digits is a gid, anything else a name.
        init(_ text: String) {
            self = UInt32(text).map(Group.id) ?? .name(text)
        }

        public var description: String {
            switch self {
            case .name(let name): name
            case .id(let id): String(id)
            }
        }
    }
}
