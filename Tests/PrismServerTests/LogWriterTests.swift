import Glibc
import PrismReactor
import Testing

@testable import PrismServer

/// Standard error that takes nothing holds nobody up who logs.
@Suite struct LogWriterTests {
    /// A pipe that blocks whoever writes until somebody reads.
    private final class FullPipe {
        let reading: CInt
        let writing: CInt
        private let filled: Int

        init() throws {
            var ends: [CInt] = [-1, -1]
            try #require(pipe(&ends) == 0)
            (reading, writing) = (ends[0], ends[1])
            let flags = fcntl(writing, F_GETFL)
            _ = fcntl(writing, F_SETFL, flags | O_NONBLOCK)
            var count = 0
            for size in [4_096, 1] {
                let bytes = [UInt8](repeating: 0x2E, count: size)
                while true {
                    let written = write(writing, bytes, size)
                    guard written > 0 else { break }
                    count += written
                }
            }
            filled = count
            _ = fcntl(writing, F_SETFL, flags)
        }

        deinit { _ = close(reading) }

        /// So many lines behind what it was filled with.
        func lines(_ count: Int) -> [String] {
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while bytes.count < filled || bytes.dropFirst(filled).count(where: { $0 == 0x0A }) < count {
                let taken = read(reading, &buffer, buffer.count)
                guard taken > 0 else { break }
                bytes += buffer.prefix(taken)
            }
            return String(decoding: bytes.dropFirst(filled), as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }

    @Test("lines wait up to a bound while nothing takes them, in their order, and none of them blocks")
    func bounded() throws {
        let pipe = try FullPipe()
        let writer = LogWriter(descriptor: pipe.writing)
        var count = 0
        while count < 1_000_000, writer.append("line \(count)\n") { count += 1 }
        #expect(count > 1_000 && count < 1_000_000)
        #expect(writer.flush(untilNanoseconds: MonotonicClock.now()) == false)
        #expect(pipe.lines(count) == (0..<count).map { "line \($0)" })
        #expect(writer.flush(untilNanoseconds: .max))
        #expect(writer.append("again\n"))
        #expect(writer.flush(untilNanoseconds: .max))
    }

    @Test("what was dropped is counted in the next line that is not, and a line that is too long ends as one")
    func dropped() throws {
        let pipe = try FullPipe()
        let log = Log(format: .text, level: .info, descriptor: pipe.writing)
        let long = String(repeating: "y", count: 2 * Log.lineBytesMax)
        let room = LogWriter.queueBytesMax / Log.lineBytesMax
        for _ in 0..<(room + 3) { log.info(long) }
        let before = pipe.lines(room)
        #expect(before.count == room && before.allSatisfy { $0.utf8.count < Log.lineBytesMax })
        log.flush(nanosecondsMax: .max / 2)
        log.info("after")
        log.flush(nanosecondsMax: .max / 2)
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(pipe.reading, &buffer, buffer.count)
        let text = String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
        #expect(text.hasSuffix(" info after dropped_lines=3\n"), "\(text)")
    }
}
