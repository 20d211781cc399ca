internal import Glibc

/// CPU time used by processes, user and system together.
enum ProcessorTime {
    /// Of this process.
    static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Of another process with all its threads, in steps of the kernel's tick (usually 10 ms). Nil: it cannot be seen from here.
    static func nanoseconds(ofProcess process: Int32) -> UInt64? {
        guard process > 0 else { return nil }
        let descriptor = open("/proc/\(process)/stat", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 1_024)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0, let ticks = ticks(inStat: buffer[..<count]) else { return nil }
        let perSecond = sysconf(CInt(_SC_CLK_TCK))
        return perSecond > 0 ? ticks * (1_000_000_000 / UInt64(perSecond)) : nil
    }

    /// utime and stime of a line of /proc/PID/stat. The second field is a name in parentheses that may hold both spaces and
    /// parentheses (proc(5)).
    static func ticks(inStat line: ArraySlice<UInt8>) -> UInt64? {
        guard let nameEnd = line.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = line[(nameEnd + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count > 12, let user = UInt64(String(decoding: fields[11], as: UTF8.self)),
            let system = UInt64(String(decoding: fields[12], as: UTF8.self))
        else { return nil }
        return user + system
    }
}
