internal import Glibc

/// The real file system.
public struct SystemProbe: FileSystemProbe {
    public init() {}

    public func entry(_ path: String) -> FileSystemEntry {
        var status = stat()
        guard stat(path, &status) == 0 else { return .missing }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return .directory(isWritable: access(path, W_OK | X_OK) == 0, owner: status.st_uid)
        case S_IFSOCK: return .socket
        default: return .other
        }
    }
}
