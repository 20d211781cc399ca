/// A run against a peer: its table, if the plan gives no statement, connections, load, removal.
struct PeerRun {
    private static let rowsPerStatement = 1_000

    let plan: LoadPlan
    let peer: LoadPeer
    /// Asked between statements; true ends what is not measured.
    let isInterrupted: () -> Bool

    /// - Parameter load: runs the load on descriptors that are open as long as it runs.
    func run(_ load: ([CInt]) throws(ToolError) -> LoadReport) throws(ToolError) -> LoadReport {
        var report: LoadReport
        var mayHaveWritten = false
        do throws(ToolError) {
            report = try prepareAndLoad(&mayHaveWritten, load)
        } catch {
            if mayHaveWritten, let left = remove() { throw error.adding(left) }
            throw error
        }
        if mayHaveWritten { report.leftBehind = remove() }
        return report
    }

    private func prepareAndLoad(
        _ mayHaveWritten: inout Bool, _ load: ([CInt]) throws(ToolError) -> LoadReport
    ) throws(ToolError) -> LoadReport {
        var isComplete = true
        if plan.statement == nil { isComplete = try fill(&mayHaveWritten) }
        let connections = PeerConnections()
        var count = 0
        while isComplete, count < plan.clients {
            isComplete = !isInterrupted()
            do throws(ToolError) {
                try connections.add(peer)
                if !peer.isUnnamed {
                    try connections.prepare(PeerRequestWriter.statementName, LoadRequestWriter.sql(plan))
                }
            } catch {
                throw error.adding("after \(count) connections")
            }
            count += 1
        }
        guard isComplete else {
            var report = LoadReport(plan: plan)
            report.isInterrupted = true
            return report
        }
        return try withExtendedLifetime(connections) { () throws(ToolError) in try load(connections.descriptors) }
    }

    /// - Returns: false when interrupted.
    private func fill(_ mayHaveWritten: inout Bool) throws(ToolError) -> Bool {
        let connection = PeerConnections()
        try connection.add(peer)
        mayHaveWritten = true
        try connection.run("create table \(plan.table) (id integer primary key, value text not null)")
        var writer = LoadRequestWriter(plan: plan, seed: 1)
        var next = 0
        while next < plan.keys {
            if isInterrupted() { return false }
            let indices = next..<min(next + Self.rowsPerStatement, plan.keys)
            // Letters and digits only: nothing in an array's text has to be quoted.
            let values = indices.map { _ in String(decoding: writer.nextValue(), as: UTF8.self) }
            try connection.run(
                "insert into \(plan.table) select * from unnest($1::integer[], $2::text[])",
                ["{\(indices.map(String.init).joined(separator: ","))}", "{\(values.joined(separator: ","))}"])
            next = indices.upperBound
        }
        return true
    }

    /// - Returns: what is left, and why; nil: nothing.
    private func remove() -> String? {
        do throws(ToolError) {
            let connection = PeerConnections()
            try connection.add(peer)
            try connection.run("drop table if exists \(plan.table)")
            return nil
        } catch {
            return "table \(plan.table) was not removed: \(error.summary)"
        }
    }
}
