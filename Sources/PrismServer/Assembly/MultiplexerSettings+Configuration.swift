internal import PrismConfiguration
internal import PrismCore
internal import PrismWire

extension MultiplexerSettings {
    /// What the configuration means for each of `reactors` multiplexers: limits of the process are divided, but for that of
    /// connections, which a `ConnectionBudget` holds for all of them.
    init(_ configuration: Configuration, backends: [BackendDescription], reactors: Int, version: String) {
        self.init()
        let limits = configuration.limits
        wire = WireLimits(limits)
        connectionsMax = limits.connections
        connectionsShared = max(1, limits.connections / reactors)
        inFlightPerConnectionMax = limits.inFlightPerConnection
        inFlightMax = max(1, limits.inFlight / reactors)
        bufferedBytesPerConnectionMax = limits.bufferedBytesPerConnection
        bufferedBytesMax = max(limits.frameBytes, limits.bufferedBytes / reactors)
        frameTimeoutNanoseconds = limits.frameTimeoutNanoseconds
        transactionsMax = max(1, limits.transactions / reactors)
        streamWindowBytes = limits.streamWindow
        streamStallNanoseconds = limits.streamStallNanoseconds
        defaultTimeoutNanoseconds = configuration.deadlines.defaultNanoseconds
        maximumTimeoutNanoseconds = configuration.deadlines.maximumNanoseconds
        slowRequestNanoseconds = configuration.log.slowRequestNanoseconds
        serverVersion = version
        self.backends = backends
        statements = NamedStatements(
            configuration.statements.map { statement in
                NamedStatements.Statement(
                    name: statement.name, backend: statement.backend ?? configuration.defaultBackend.name,
                    sql: statement.sql, isReadOnly: statement.readOnly)
            })
        access = AccessPolicy(
            rules: configuration.rules.map { rule in
                var uid: UInt32?
                var gid: UInt32?
                switch rule.subject {
                case .uid(let id): uid = id
                case .gid(let id): gid = id
                }
                var translated = AccessPolicy.Rule(
                    uid: uid, gid: gid, backends: rule.backends, namespaces: rule.namespaces,
                    isReadOnly: rule.readOnly, label: rule.label ?? "")
                translated.isNamedStatementsOnly = rule.statements == .named
                translated.weight = rule.weight
                let part = { (limit: Int?) in limit.map { max(1, $0 / reactors) } ?? .max }
                translated.limits.connections = part(rule.connections)
                translated.limits.inFlight = part(rule.inFlight)
                translated.limits.bufferedBytes = part(rule.bufferedBytes)
                translated.limits.transactions = part(rule.transactions)
                return translated
            })
    }
}

extension WireLimits {
    init(_ limits: Configuration.Limits) {
        self.init()
        frameBytesMax = limits.frameBytes
        decodeBytesMax = limits.decodeBytes
        getManyKeysMax = limits.getManyKeys
        writeItemsMax = limits.writeItems
        batchStatementsMax = limits.batchStatements
        valueBytesMax = limits.valueBytes
        sqlBytesMax = limits.sqlBytes
        parametersMax = limits.parameters
    }
}

extension DrainMachine.Settings {
    init(_ drain: Configuration.Drain) {
        self.init()
        mode = drain.mode == .native ? .native : .classic
        afterSigtermNanoseconds = drain.afterSigtermNanoseconds
        totalNanoseconds = drain.totalNanoseconds
        quietNanoseconds = drain.quietNanoseconds
        minimumNanoseconds = drain.minimumNanoseconds
        strictExit = drain.strictExit
    }
}
