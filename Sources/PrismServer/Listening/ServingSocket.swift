internal import CLinux
internal import Glibc
internal import PrismReactor

/// Why a socket could not be served.
enum ServingSocketError: Error {
    /// Somebody answers on it: exit code 4.
    case servedByAnother(path: String)
    case unusable(path: String, reason: String)
}

/// A listening Unix socket of ours: taken over when nobody listens on it, removed only if it is still ours.
///
/// Two that start at the same moment are put in order by a lock on the directory, held only while one looks and binds, so
/// that no lock file is left behind.
struct ServingSocket {
    let path: String
    let descriptor: CInt
    private let device: dev_t
    private let inode: ino_t

    /// - Parameters:
    ///   - mode: set before the first client can connect.
    ///   - group: nil: as the directory gives it.
    init(path: String, mode: mode_t, group: gid_t?, backlog: Int) throws(ServingSocketError) {
        let directory = Self.directory(of: path)
        let lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if lock >= 0 { _ = flock(lock, LOCK_EX) }
        defer { if lock >= 0 { _ = Glibc.close(lock) } }
        try Self.clearStale(path)
        var opened: CInt = -1
        do {
            opened = try UnixSocket.make()
            try UnixSocket.bind(opened, path: path)
            guard chmod(path, mode) == 0 else { throw SystemCallError(call: "chmod", code: errno) }
            if let owner = try Self.owningGroup(group, directory), chown(path, uid_t.max, owner) != 0, group != nil {
                throw SystemCallError(call: "chown", code: errno)
            }
            try UnixSocket.listen(opened, backlog: CInt(clamping: backlog))
        } catch {
            if opened >= 0 { UnixSocket.close(opened) }
            throw .unusable(path: path, reason: "\(error)")
        }
        var status = stat()
        _ = lstat(path, &status)
        self.path = path
        descriptor = opened
        device = status.st_dev
        inode = status.st_ino
    }

    /// Throws when somebody answers on it, before anything else is touched.
    static func checkNotServed(_ path: String) throws(ServingSocketError) {
        guard let descriptor = try? UnixSocket.connect(path: path, blocking: false) else { return }
        UnixSocket.close(descriptor)
        throw .servedByAnother(path: path)
    }

    /// Removes the file unless somebody has put another one there.
    func removeFile() {
        var status = stat()
        if lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode { unlink(path) }
    }

    private static func owningGroup(_ group: gid_t?, _ directory: String) throws(SystemCallError) -> gid_t? {
        if let group { return group }
        var status = stat()
        guard stat(directory, &status) == 0 else { throw SystemCallError(call: "stat", code: errno) }
        return status.st_gid
    }

    private static func clearStale(_ path: String) throws(ServingSocketError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw .unusable(path: path, reason: "there is a file that is no socket; it was left alone")
        }
        do {
            UnixSocket.close(try UnixSocket.connect(path: path, blocking: false))
            throw ServingSocketError.servedByAnother(path: path)
        } catch let error as ServingSocketError {
            throw error
        } catch let error as UnixSocketError {
            switch error.code {
            case ECONNREFUSED: unlink(path)  // Nobody listens: left behind by a crash.
            case ENOENT: return
            case EAGAIN: throw .servedByAnother(path: path)  // Its backlog is full.
            default: throw .unusable(path: path, reason: "\(error)")
            }
        } catch {
            throw .unusable(path: path, reason: "\(error)")
        }
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
