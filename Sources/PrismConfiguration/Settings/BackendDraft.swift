/// A backend while it is read: the settings of every kind side by side, so that one table serves them.
struct BackendDraft: Sendable {
    var name = ""
    var kind = Configuration.Backend.Kind.sqlite
    var isDefault = false
    var queueRequests = 0
    var sqlite = Configuration.SQLite()
    var postgresql = Configuration.PostgreSQL()

    init() {
        for setting in SettingsTable.backend + SettingsTable.sqlite + SettingsTable.postgresql {
            setting.write(&self, setting.defaultValue)
        }
    }

    init(_ backend: Configuration.Backend) {
        self.init()
        name = backend.name
        kind = backend.kind
        isDefault = backend.isDefault
        queueRequests = backend.queueRequests
        switch backend.engine {
        case .sqlite(let settings): sqlite = settings
        case .postgresql(let settings): postgresql = settings
        }
    }

    var backend: Configuration.Backend {
        Configuration.Backend(
            name: name, isDefault: isDefault, queueRequests: queueRequests,
            engine: kind == .sqlite ? .sqlite(sqlite) : .postgresql(postgresql))
    }
}
