internal import Glibc

/// Reads a whole file, whatever it is: a pipe has no size to ask for.
enum FileReader {
    static func read(_ path: String, bytesMax: Int) throws(ConfigurationError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw problem(path, "cannot be opened", errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw problem(path, "cannot be read", errno)
            }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            if bytes.count > bytesMax {
                throw ConfigurationError(
                    origin: .file(path, line: nil), key: nil,
                    message: "the file is larger than \(SizeText.render(bytesMax))", remedy: "is it the right file?")
            }
        }
    }

    private static func problem(_ path: String, _ what: String, _ code: Int32) -> ConfigurationError {
        let remedy =
            switch code {
            case ENOENT: "check the path, or run without --config for the defaults"
            case EACCES: "let uid \(geteuid()) read it"
            case EISDIR: "give a file, not a directory"
            default: "check the path"
            }
        return ConfigurationError(
            origin: .file(path, line: nil), key: nil, message: "\(what): \(String(cString: strerror(code)))",
            remedy: remedy)
    }
}
