import PrismWire

/// What a job's executions have answered so far; their rows are in the answer's writer.
struct UnitResults {
    // Client SQL.
    /// Of the present execution, once they are known.
    var columns: ResultColumns?
    var tag: CommandTag?
    /// A part has carried the columns.
    var hasSentColumns = false

    var keyValue = KeyValueResults()
}
