extension Configuration {
    public struct Log: Sendable, Equatable {
        public enum Format: String, Sendable, CaseIterable {
            /// Text if standard error is a terminal, else JSON.
            case automatic = "auto"
            case text
            case json
        }

        public enum Level: String, Sendable, CaseIterable, Comparable {
            case debug, info, warning, error

            var severity: Int {
                switch self {
                case .debug: 0
                case .info: 1
                case .warning: 2
                case .error: 3
                }
            }

            public static func < (a: Level, b: Level) -> Bool { a.severity < b.severity }
        }

        public internal(set) var format = Format.automatic
        public internal(set) var level = Level.info
        /// A request that took longer is logged as slow.
        public internal(set) var slowRequestNanoseconds: UInt64 = 0
    }
}
