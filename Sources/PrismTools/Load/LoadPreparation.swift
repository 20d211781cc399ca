/// Puts the keys or rows in place that a workload reads, and takes them away again.
struct LoadPreparation {
    /// Of what is not measured.
    static let timeoutMicrosecondsMin: UInt64 = 30_000_000
    private static let itemsPerRequest = 1_000
    private static let bytesPerRequest = 1 << 20

    private let plan: LoadPlan
    private let client: Client
    private let options: RequestOptions
    /// Asked before every request; true ends the work there.
    private let isInterrupted: () -> Bool
    /// Whether there can be anything to remove.
    private(set) var mayHaveWritten = false
    /// Keys or rows from this one on have not been sent.
    private(set) var sentEnd = 0

    init(plan: LoadPlan, client: Client, isInterrupted: @escaping () -> Bool) {
        self.plan = plan
        self.client = client
        self.isInterrupted = isInterrupted
        options = RequestOptions(
            backend: plan.backend, timeoutMicroseconds: max(plan.timeoutMicroseconds, Self.timeoutMicrosecondsMin))
    }

    /// - Parameter writer: makes the values.
    /// - Returns: false when interrupted; what is there by then has to be removed all the same.
    mutating func prepare(writer: inout LoadRequestWriter) throws(ToolError) -> Bool {
        guard plan.statement == nil else { return true }
        if plan.workload == .sql {
            try write(
                .query(sql: "create table \(plan.table) (id integer primary key, value text not null)", parameters: []))
        }
        var next = 0
        while next < plan.keys {
            if isInterrupted() { return false }
            let items = max(1, min(Self.itemsPerRequest, Self.bytesPerRequest / max(plan.valueBytes, 1)))
            let indices = next..<min(next + items, plan.keys)
            sentEnd = indices.upperBound
            try write(operation(indices, &writer))
            next = indices.upperBound
        }
        return true
    }

    /// Removes everything that this run can have written.
    ///
    /// - Parameter end: the preparation's `sentEnd`.
    /// - Returns: false when interrupted.
    func remove(below end: Int) throws(ToolError) -> Bool {
        guard plan.statement == nil else { return true }
        if plan.workload == .sql {
            try client.call(.query(sql: "drop table if exists \(plan.table)", parameters: []), options) { _ in }
            return true
        }
        var next = 0
        while next < end {
            if isInterrupted() { return false }
            let indices = next..<min(next + Self.itemsPerRequest, end)
            let keys = indices.map { LoadRequestWriter.key(UInt64($0)) }
            try client.call(.deleteMany(namespace: plan.namespace, keys: keys), options) { _ in }
            next = indices.upperBound
        }
        return true
    }

    private mutating func write(_ operation: Operation) throws(ToolError) {
        do throws(ToolError) {
            try client.call(operation, options) { _ in }
            mayHaveWritten = true
        } catch {
            if case .failed(let failure) = error, failure.outcome != .notExecuted { mayHaveWritten = true }
            throw error
        }
    }

    private func operation(_ indices: Range<Int>, _ writer: inout LoadRequestWriter) -> Operation {
        guard plan.workload == .sql else {
            return .putMany(
                namespace: plan.namespace,
                indices.map { .init(key: LoadRequestWriter.key(UInt64($0)), value: writer.nextValue()) })
        }
        return .batch(
            sql: "insert into \(plan.table) (id, value) values ($1, $2)",
            parameterSets: indices.map {
                [.integer(Int64($0)), .text(String(decoding: writer.nextValue(), as: UTF8.self))]
            })
    }
}
