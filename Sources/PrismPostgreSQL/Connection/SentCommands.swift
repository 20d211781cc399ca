internal import PrismCore

/// What has been sent and is not over yet, oldest first: tells what the next result is about.
struct SentCommands {
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

    private var commands: [Command] = []
    private var head = 0

    var isEmpty: Bool { head == commands.count }
    var count: Int { commands.count - head }
    var first: Command? { isEmpty ? nil : commands[head] }

    mutating func append(_ command: Command) { commands.append(command) }

    mutating func removeFirst() {
        guard !isEmpty else { return }
        head += 1
        if head == commands.count {
            commands.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 1_024 {
            commands.removeFirst(head)
            head = 0
        }
    }
}
