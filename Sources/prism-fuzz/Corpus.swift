internal import Glibc

/// Reads the vectors; sorted, so that a seed means the same on every machine.
enum Corpus {
    static let fileBytesMax = 1 << 20

    static func read(_ directory: String) -> [[UInt8]] {
        names(directory).flatMap { group in
            names("\(directory)/\(group)").filter { $0.hasSuffix(".bin") }.compactMap {
                content("\(directory)/\(group)/\($0)")
            }
        }
    }

    private static func names(_ directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var found: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { found.append(name) }
        }
        return found.sorted()
    }

    private static func content(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: fileBytesMax)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count > 0 ? Array(bytes[..<count]) : nil
    }
}
