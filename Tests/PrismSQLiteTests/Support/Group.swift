import PrismSQLite
import Testing

/// Writes that wait together behind a transaction, and so become one group.
struct Group {
    let backend: TestBackend
    let pending: [TestBackend.Pending]

    /// - Parameter beforeTheyRun: called when all are waiting.
    init(_ backend: TestBackend, _ requests: [Request], _ beforeTheyRun: () -> Void = {}) throws {
        self.backend = backend
        let gate = try backend.begin()
        pending = requests.map { backend.submit($0) }
        beforeTheyRun()
        try backend.expect(.rollback, in: gate)
    }

    func answers() throws -> [Answer] { try pending.map { try backend.answer($0) } }
}

typealias SQLiteSettingsSynchronous = SQLiteSettings.Synchronous
