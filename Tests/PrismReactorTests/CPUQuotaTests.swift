import Testing

@testable import PrismReactor

@Suite struct CPUQuotaTests {
    private func quota(_ files: [String: String]) -> Int? {
        CPUQuota { files[$0] }.wholeCPUs()
    }

    @Test(
        arguments: [
            ("max 100000\n", nil), ("100000 100000\n", 1), ("150000 100000\n", 2), ("10000 100000\n", 1),
            ("400000 50000\n", 8), ("", nil), ("100000", nil), ("x y", nil), ("100000 0\n", nil), ("-1 100000", nil),
        ] as [(String, Int?)])
    func versionTwoTexts(text: String, expected: Int?) {
        #expect(CPUQuota.wholeCPUs(cpuMax: text) == expected)
    }

    @Test func versionOneSaysMinusOneForNoLimit() {
        #expect(CPUQuota.wholeCPUs(quota: "-1\n", period: "100000\n") == nil)
        #expect(CPUQuota.wholeCPUs(quota: "250000\n", period: "100000\n") == 3)
    }

    @Test func aContainersOwnRootCounts() {
        #expect(quota(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "50000 100000\n"]) == 1)
    }

    @Test func theTightestGroupOnTheWayToTheRootCounts() {
        let files = [
            "/proc/self/cgroup": "0::/kubepods/pod1/container\n",
            "/sys/fs/cgroup/kubepods/cpu.max": "max 100000\n",
            "/sys/fs/cgroup/kubepods/pod1/cpu.max": "200000 100000\n",
            "/sys/fs/cgroup/kubepods/pod1/container/cpu.max": "400000 100000\n",
        ]
        #expect(quota(files) == 2)
    }

    @Test func aHostPathThatIsNotMountedFallsBackToTheMountsRoot() {
        let files = [
            "/proc/self/cgroup": "5:cpu,cpuacct:/docker/0123\n1:name=systemd:/docker/0123\n",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        ]
        #expect(quota(files) == 2)
    }

    @Test func hybridSystemsLimitThroughVersionOne() {
        let files = [
            "/proc/self/cgroup": "3:cpuset:/\n1:cpu:/a:b\n0::/\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/cpu/a:b/cpu.cfs_quota_us": "100000\n",
            "/sys/fs/cgroup/cpu/a:b/cpu.cfs_period_us": "100000\n",
        ]
        #expect(quota(files) == 1)
    }

    @Test func noCgroupsIsNoQuota() {
        #expect(quota([:]) == nil)
        #expect(quota(["/proc/self/cgroup": "nonsense\n\n::\n"]) == nil)
        #expect(availableCPUs() >= 1)
    }
}
