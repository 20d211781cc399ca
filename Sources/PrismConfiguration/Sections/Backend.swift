extension Configuration {
    public struct Backend: Sendable, Equatable {
        public enum Kind: String, Sendable, CaseIterable {
            case sqlite, postgresql
        }

        public enum Engine: Sendable, Equatable {
            case sqlite(SQLite)
            case postgresql(PostgreSQL)
        }

        /// 1 to 64 of `a-z 0-9 - _`, unique.
        public let name: String
        /// Serves requests that name no backend.
        public internal(set) var isDefault: Bool
        /// The length limit of its queue.
        public let queueRequests: Int
        public let engine: Engine

        public var kind: Kind {
            switch engine {
            case .sqlite: .sqlite
            case .postgresql: .postgresql
            }
        }

        /// `main`, its file chosen by the server: what is served when nothing is configured.
        static let defaultSQLite: Backend = {
            var draft = BackendDraft()
            draft.name = "main"
            draft.isDefault = true
            return draft.backend
        }()
    }
}
