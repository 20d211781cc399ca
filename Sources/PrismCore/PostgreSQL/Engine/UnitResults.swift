import PrismWire

/// What a job's executions have answered so far. Pointers are the answer's arena's.
struct UnitResults {
    // Client SQL.
    var builder: ResultBuilder?
    var tag: CommandTag?
    /// A part has carried the columns.
    var hasSentColumns = false
    /// One an execution of a Batch.
    var batch: [UnsafeMutablePointer<Prism__V1__QueryResult>] = []
    var batchBytes = 0

    var keyValue = KeyValueResults()
}
