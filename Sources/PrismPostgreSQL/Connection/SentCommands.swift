internal import PrismCore

/// What has been sent and is not over yet, oldest first: tells what the next result is about.
struct SentCommands: ~Copyable {
    enum Command: Equatable {
        case prepare
        case describe
        /// Executions of a prepared statement; their columns are remembered under its name.
        case execute(PreparedName, RowDelivery)
        case statement
        case sync

        var returnsRows: Bool {
            switch self {
            case .execute, .statement: true
            case .prepare, .describe, .sync: false
            }
        }

        /// Its rows are told as they come.
        var isOneByOne: Bool {
            switch self {
            case .execute(_, let rows): rows == .oneByOne
            case .statement: true
            case .prepare, .describe, .sync: false
            }
        }

        /// Reads from the connection that it may take until it has been answered.
        var readsMax: UInt16 {
            if case .execute(_, .together(let readsMax)) = self { readsMax } else { .max }
        }
    }

    private var commands = MovingQueue<Command>(capacity: 64)

    var isEmpty: Bool { commands.isEmpty }
    var first: Command? { commands.first }

    mutating func append(_ command: Command) { commands.append(command) }

    mutating func removeFirst() { commands.popFirst() }
}
