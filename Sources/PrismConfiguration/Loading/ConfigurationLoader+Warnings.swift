// What is allowed but probably not meant.
extension ConfigurationLoader {
    /// SIGKILL comes this long after the SIGTERM that Kubernetes sends when the grace period is used up.
    static let afterGraceNanoseconds = seconds(2)

    mutating func addWarnings() {
        warnAboutDrain()
        warnAboutTransactions()
        let mode = configuration.admin.mode
        if mode & 0o006 != 0 {
            configuration.warnings.append(
                "admin.mode \(ModeText.render(mode)) lets every local user drain this sidecar; use 0600 or 0660")
        }
    }

    private mutating func warnAboutDrain() {
        let drain = configuration.drain
        let grace = DurationText.render(drain.gracePeriodNanoseconds)
        let after = DurationText.render(drain.afterSigtermNanoseconds)
        let total = DurationText.render(drain.totalNanoseconds)
        switch drain.mode {
        case .native:
            if drain.afterSigtermNanoseconds >= Self.afterGraceNanoseconds {
                configuration.warnings.append(
                    "drain.after_sigterm \(after) cannot fit: if the app uses up the grace period, SIGKILL comes "
                        + "2s after SIGTERM; use less than 2s")
            }
        case .classic:
            if drain.totalNanoseconds >= drain.gracePeriodNanoseconds {
                configuration.warnings.append(
                    "drain.total \(total) does not fit into drain.grace_period \(grace): SIGKILL comes first; lower "
                        + "drain.total, or raise terminationGracePeriodSeconds and drain.grace_period")
            }
            let lameDuck = drain.totalNanoseconds - min(drain.totalNanoseconds, drain.afterSigtermNanoseconds)
            if lameDuck < max(drain.quietNanoseconds, drain.minimumNanoseconds) || lameDuck == 0 {
                configuration.warnings.append(
                    "drain.total \(total) less drain.after_sigterm \(after) leaves \(DurationText.render(lameDuck)) for "
                        + "lame duck, less than drain.quiet \(DurationText.render(drain.quietNanoseconds)) and "
                        + "drain.minimum \(DurationText.render(drain.minimumNanoseconds)) ask for; raise drain.total")
            }
        }
    }

    private mutating func warnAboutTransactions() {
        let transactions = configuration.transactions
        if transactions.idleNanoseconds > transactions.totalNanoseconds {
            configuration.warnings.append("transactions.idle has no effect: transactions.total is shorter")
        }
        if transactions.sqliteWriteIdleNanoseconds > transactions.sqliteWriteTotalNanoseconds {
            configuration.warnings.append(
                "transactions.sqlite_write_idle has no effect: transactions.sqlite_write_total is shorter")
        }
    }
}
