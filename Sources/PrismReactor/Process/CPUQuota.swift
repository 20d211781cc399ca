/// What cgroups say about CPU: the tightest quota between this process's group and the root, v1 and v2.
///
/// Pure: files come through a function, so that tests bring their own tree.
struct CPUQuota {
    /// Returns a file's text; nil if it cannot be read.
    let readFile: (String) -> String?

    /// The quota in whole CPUs, rounded up, at least 1; nil where nothing limits.
    func wholeCPUs() -> Int? {
        guard let groups = readFile("/proc/self/cgroup") else { return nil }
        return groups.split(separator: "\n").compactMap(quota(ofGroupLine:)).min()
    }

    /// A line of /proc/self/cgroup: `hierarchy:controllers:path`; the path may contain colons.
    private func quota(ofGroupLine line: Substring) -> Int? {
        let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3 else { return nil }
        if fields[0] == "0" && fields[1].isEmpty {
            // Version 2; in hybrid systems it lives in a folder of its own.
            return ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].compactMap { root in
                tightest(root: root, path: fields[2]) { folder in
                    readFile(folder + "/cpu.max").flatMap(Self.wholeCPUs(cpuMax:))
                }
            }.min()
        }
        guard fields[1].split(separator: ",").contains("cpu") else { return nil }
        return ["/sys/fs/cgroup/" + fields[1], "/sys/fs/cgroup/cpu"].compactMap { root in
            tightest(root: root, path: fields[2]) { folder in
                guard let quota = readFile(folder + "/cpu.cfs_quota_us"),
                    let period = readFile(folder + "/cpu.cfs_period_us")
                else { return nil }
                return Self.wholeCPUs(quota: quota, period: period)
            }
        }.min()
    }

    /// The group's folder and all above it. In a container without a cgroup namespace the path is the host's and does not
    /// exist under its own mount; the mount's root, always looked at, is then the container's group.
    private func tightest(root: String, path: Substring, _ quota: (String) -> Int?) -> Int? {
        var folder = root
        var smallest = quota(folder)
        for part in path.split(separator: "/") {
            folder += "/" + part
            if let found = quota(folder) { smallest = min(smallest ?? found, found) }
        }
        return smallest
    }

    /// Version 2, `cpu.max`: `150000 100000`, or `max 100000` for no limit.
    static func wholeCPUs(cpuMax text: String) -> Int? {
        let fields = text.split(whereSeparator: \.isWhitespace)
        guard fields.count == 2 else { return nil }
        return wholeCPUs(quota: String(fields[0]), period: String(fields[1]))
    }

    /// Microseconds of CPU in a period of microseconds; version 1 says -1 for no limit.
    static func wholeCPUs(quota: String, period: String) -> Int? {
        guard let quota = number(quota), let period = number(period), quota > 0, period > 0 else { return nil }
        let (whole, rest) = quota.quotientAndRemainder(dividingBy: period)
        return whole + (rest > 0 ? 1 : 0)
    }

    private static func number(_ text: String) -> Int? {
        text.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) }
    }
}
