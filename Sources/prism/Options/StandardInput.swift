import Glibc
import PrismTools

enum StandardInput {
    /// What a frame can hold, and a bit.
    static let bytesMax = 64 << 20

    /// Everything up to the end of standard input.
    static func read() throws(ToolError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(0, &buffer, buffer.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw .usage("standard input cannot be read: \(systemErrorText(errno))")
            }
            bytes.append(contentsOf: buffer[..<count])
            guard bytes.count <= bytesMax else {
                throw .usage("standard input has more than \(bytesMax) bytes", remedy: "no request can be that large")
            }
        }
    }
}
