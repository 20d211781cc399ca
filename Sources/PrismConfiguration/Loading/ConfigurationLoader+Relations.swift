// Rules between settings.
extension ConfigurationLoader {
    /// What an answer or a request takes beside its value: header fields, status, version, message.
    static let frameHeadroomBytes = kib(1) / 2

    mutating func checkRelations() {
        checkLimits()
        checkDeadlines()
        checkSockets()
        guard areListsComplete else { return }
        checkBackends()
        checkReferences()
    }

    private func isRefused(_ names: String...) -> Bool {
        names.contains(where: refused.contains)
    }

    private mutating func checkLimits() {
        let limits = configuration.limits
        require(
            "limits.buffered_bytes_per_connection", limits.bufferedBytesPerConnection, atLeast: "limits.frame_bytes",
            limits.frameBytes)
        require(
            "limits.buffered_bytes", limits.bufferedBytes, atLeast: "limits.buffered_bytes_per_connection",
            limits.bufferedBytesPerConnection)
        require("limits.decode_bytes", limits.decodeBytes, atLeast: "limits.frame_bytes", limits.frameBytes)
        let largest = limits.frameBytes - Self.frameHeadroomBytes
        requireInFrame("limits.value_bytes", limits.valueBytes, largest)
        requireInFrame("limits.result_bytes", limits.resultBytes, largest)
        requireInFrame("idempotency.answer_bytes", configuration.idempotency.answerBytes, largest)
    }

    private mutating func require(_ name: String, _ value: Int, atLeast other: String, _ bound: Int) {
        guard value < bound, !isRefused(name, other) else { return }
        report(
            place(name, other), name,
            "\(SizeText.render(value)) is less than \(other), \(SizeText.render(bound))",
            remedy: "raise \(name) to at least \(SizeText.render(bound)), or lower \(other)")
    }

    private mutating func requireInFrame(_ name: String, _ value: Int, _ bound: Int) {
        guard value > bound, !isRefused(name, "limits.frame_bytes") else { return }
        report(
            place(name, "limits.frame_bytes"), name,
            "\(SizeText.render(value)) does not fit into a frame of \(SizeText.render(configuration.limits.frameBytes))",
            remedy: "lower \(name) to at most \(SizeText.render(bound)), or raise limits.frame_bytes")
    }

    private mutating func checkDeadlines() {
        let deadlines = configuration.deadlines
        if deadlines.defaultNanoseconds > deadlines.maximumNanoseconds,
            !isRefused("deadlines.default", "deadlines.maximum")
        {
            report(
                place("deadlines.default", "deadlines.maximum"), "deadlines.default",
                "\(DurationText.render(deadlines.defaultNanoseconds)) is more than deadlines.maximum, "
                    + DurationText.render(deadlines.maximumNanoseconds),
                remedy: "lower deadlines.default, or raise deadlines.maximum")
        }
    }

    private mutating func checkSockets() {
        if let path = configuration.socket.path, path == configuration.admin.socket,
            !isRefused("socket.path", "admin.socket")
        {
            report(
                place("admin.socket", "socket.path"), "admin.socket", "it is also the data socket",
                remedy: "choose another path, or remove it for admin.sock beside the data socket")
        }
    }

    private mutating func checkBackends() {
        let backends = configuration.backends
        let defaults = backends.filter(\.isDefault)
        if defaults.count != 1 {
            let marked = defaults.count < 2 ? backends.last?.name : defaults.last?.name
            let name = "backends.\(marked ?? "main")"
            report(
                place("\(name).default", "\(name).name"), "backends",
                defaults.isEmpty
                    ? "none is the default" : "\(defaults.map(\.name).joined(separator: ", ")) are all the default",
                remedy: "write default: true at exactly one")
        }
        var owners: [String?: String] = [:]
        for backend in backends {
            switch backend.engine {
            case .sqlite(let settings):
                let name = "backends.\(backend.name)"
                if let owner = owners[settings.path] {
                    report(
                        place("\(name).path", "\(name).name"), "\(name).path",
                        settings.path == nil ? "\(owner) has no path either" : "\(owner) has the same file",
                        remedy: "give each a file of its own")
                }
                owners[settings.path] = backend.name
            case .postgresql(let settings): checkPostgreSQL(settings, "backends.\(backend.name)")
            }
        }
    }

    private mutating func checkPostgreSQL(_ settings: Configuration.PostgreSQL, _ name: String) {
        if settings.connectionsMin > settings.connectionsMax {
            report(
                place("\(name).connections_min", "\(name).connections_max"), "\(name).connections_min",
                "\(settings.connectionsMin) is more than connections_max, \(settings.connectionsMax)",
                remedy: "lower connections_min, or raise connections_max")
        }
        let reactors = configuration.runtime.reactors
        if settings.connectionsMax < reactors {
            report(
                place("\(name).connections_max", "runtime.reactors"), "\(name).connections_max",
                "\(settings.connectionsMax) is less than runtime.reactors, \(reactors), each of which needs one",
                remedy: "raise connections_max to at least \(reactors), or lower runtime.reactors")
        }
    }

    /// Names of backends in other settings.
    private mutating func checkReferences() {
        for name in configuration.readiness.backends { checkReference(name, "readiness.backends") }
        for statement in configuration.statements {
            if let name = statement.backend { checkReference(name, "statements.\(statement.name).backend") }
        }
        for (index, rule) in configuration.rules.enumerated() {
            for name in rule.backends ?? [] { checkReference(name, "rules[\(index)].backends") }
        }
    }

    private mutating func checkReference(_ name: String, _ setting: String) {
        let names = configuration.backends.map(\.name)
        guard !names.contains(name) else { return }
        report(
            configuration.origin(of: setting), setting, "there is no backend \(Printable.quoted(name))",
            remedy: NearestName.find(name, among: names).map { "did you mean \($0)?" }
                ?? "configured are \(names.joined(separator: ", "))")
    }

    /// Where to look: the first of the two that was set by anyone, a flag before a variable before the file.
    func place(_ names: String...) -> Configuration.Origin {
        let origins = names.map { configuration.origin(of: $0) }
        return origins.first { $0.layer == "flag" } ?? origins.first { $0.layer == "environment" }
            ?? origins.first { $0 != .default } ?? .default
    }
}
