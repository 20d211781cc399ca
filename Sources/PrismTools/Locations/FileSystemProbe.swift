/// What the rules about default sockets need to know of a file system; tests answer from a table.
public protocol FileSystemProbe {
    func entry(_ path: String) -> FileSystemEntry
}

/// What stands at a path.
public enum FileSystemEntry: Equatable, Sendable {
    case missing
    /// `isWritable`: by this process. `owner`: its uid.
    case directory(isWritable: Bool, owner: UInt32)
    case socket
    case other
}
