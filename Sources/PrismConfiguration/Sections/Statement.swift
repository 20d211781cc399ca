extension Configuration {
    /// A statement that clients call by its name instead of sending SQL.
    public struct Statement: Sendable, Equatable {
        /// 1 to 64 of `a-z 0-9 - _`, unique.
        public internal(set) var name = ""
        /// Where it runs; `nil`: on the default backend.
        public internal(set) var backend: String?
        public internal(set) var sql = ""
        public internal(set) var readOnly = false

        init() {
            for setting in SettingsTable.statement { setting.write(&self, setting.defaultValue) }
        }
    }
}
