internal import CLinux
internal import Glibc

/// CPUs that this process can really use: the smaller of its affinity and its cgroup's quota rounded up; at least 1.
/// Never the host's number, which in a container says nothing.
public func availableCPUs() -> Int {
    let affinity = max(1, Int(prism_affinity_count()))
    return min(affinity, CPUQuota(readFile: smallFile).wholeCPUs() ?? affinity)
}

/// The text of a file of the kernel's, up to 64 KiB; nil if it cannot be read.
private func smallFile(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { _ = close(descriptor) }
    var text: [UInt8] = []
    let maximumBytes = 64 * 1024
    return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
        while text.count < maximumBytes {
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 { return nil }
            if count == 0 { break }
            text.append(contentsOf: buffer[..<count])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
