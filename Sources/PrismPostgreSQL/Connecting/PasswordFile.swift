internal import Glibc
internal import PrismReactor

/// A file that holds a password and nothing else.
enum PasswordFile {
    static let bytesMax = 4_096

    struct Problem: Error, Equatable {
        var message: String
    }

    /// Without the line ends at its end. Any thread; blocks.
    static func read(_ path: String) throws(Problem) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Problem(message: "the password file \(path): \(SystemCallError(call: "open", code: errno).reason)")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        while true {
            var count = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: 1_024) { buffer, initialized in
                count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                initialized = max(count, 0)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw Problem(
                    message: "the password file \(path): \(SystemCallError(call: "read", code: errno).reason)")
            }
            if count == 0 { break }
            bytes += chunk
            guard bytes.count <= bytesMax else {
                throw Problem(message: "the password file \(path) has more than \(bytesMax) bytes")
            }
        }
        while bytes.last == UInt8(ascii: "\n") || bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard !bytes.isEmpty, !bytes.contains(0) else {
            throw Problem(message: "the password file \(path) is empty, or contains a zero byte")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
