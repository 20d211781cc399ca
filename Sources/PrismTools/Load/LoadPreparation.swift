/// Puts the keys or rows in place that a workload reads.
struct LoadPreparation {
    private static let itemsPerRequest = 1_000
    private static let bytesPerRequest = 1 << 20

    private let plan: LoadPlan
    private let client: Client
    private let options: RequestOptions

    init(plan: LoadPlan, client: Client) {
        self.plan = plan
        self.client = client
        options = RequestOptions(
            backend: plan.backend, timeoutMicroseconds: max(plan.timeoutMicroseconds, 30_000_000))
    }

    /// - Parameter writer: makes the values.
    func run(writer: inout LoadRequestWriter) throws(ToolError) {
        if plan.workload == .sql {
            let create =
                "create table if not exists \(LoadPlan.table) (id integer primary key, value text not null)"
            try client.call(.query(sql: create, parameters: []), options) { _ in }
        }
        var next = 0
        while next < plan.keys {
            let items = max(1, min(Self.itemsPerRequest, Self.bytesPerRequest / max(plan.valueBytes, 1)))
            let indices = next..<min(next + items, plan.keys)
            try client.call(operation(indices, &writer), options) { _ in }
            next = indices.upperBound
        }
    }

    private func operation(_ indices: Range<Int>, _ writer: inout LoadRequestWriter) -> Operation {
        guard plan.workload == .sql else {
            return .putMany(
                namespace: LoadPlan.namespace,
                indices.map { .init(key: LoadRequestWriter.key(UInt64($0)), value: writer.nextValue()) })
        }
        return .batch(
            sql: """
                insert into \(LoadPlan.table) (id, value) values ($1, $2) \
                on conflict (id) do update set value = excluded.value
                """,
            parameterSets: indices.map {
                [.integer(Int64($0)), .text(String(decoding: writer.nextValue(), as: UTF8.self))]
            })
    }
}
