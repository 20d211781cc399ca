extension Configuration {
    /// What one uid or one group may do. Enforced by admission.
    public struct AccessRule: Sendable, Equatable {
        public enum Subject: Sendable, Hashable, CustomStringConvertible {
            case uid(UInt32)
            case gid(UInt32)

            public var description: String {
                switch self {
                case .uid(let id): "uid \(id)"
                case .gid(let id): "gid \(id)"
                }
            }
        }

        public enum Statements: String, Sendable, CaseIterable {
            /// Its own.
            case any
            /// None but the names of the configuration's statements.
            case named
        }

        public let subject: Subject
        /// Backends it may use; `nil`: all of them; empty: none.
        public let backends: [String]?
        /// Key-value namespaces it may use; `nil`: all of them; empty: none.
        public let namespaces: [String]?
        public let readOnly: Bool
        /// Which SQL it may send.
        public internal(set) var statements = Statements.any
        /// For logs and metrics; 1 to 64 of `a-z 0-9 - _`.
        public let label: String?
        /// Of turns and of what is scarce.
        public internal(set) var weight: Int = 1
        /// What its clients may have together; `nil`: what holds for all.
        public internal(set) var connections: Int?
        public internal(set) var inFlight: Int?
        public internal(set) var bufferedBytes: Int?
        public internal(set) var transactions: Int?
    }
}
