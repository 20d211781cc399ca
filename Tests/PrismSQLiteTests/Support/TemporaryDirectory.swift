import Foundation

/// A directory that goes with its test. In memory where possible: what a disk would lose is worked out by the VFS.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NSTemporaryDirectory()
        var template = Array("\(base)/prism-sqlite-tests-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        path = String(cString: made)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var database: String { path + "/data.db" }

    /// The database and its log as they are now, as a process that was killed leaves them.
    func copyDatabase(to other: TemporaryDirectory) throws {
        for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: database + suffix) {
            try FileManager.default.copyItem(atPath: database + suffix, toPath: other.database + suffix)
        }
    }

    func size(_ suffix: String = "") -> Int {
        var status = stat()
        return stat(database + suffix, &status) == 0 ? Int(status.st_size) : -1
    }

    /// Overwrites bytes of the database file.
    func overwrite(at offset: Int, _ bytes: [UInt8]) throws {
        let descriptor = open(database, O_WRONLY)
        guard descriptor >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        defer { close(descriptor) }
        guard pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count else { throw POSIXError(.EIO) }
    }
}
