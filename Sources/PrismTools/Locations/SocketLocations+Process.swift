internal import Glibc

extension SocketLocations where Probe == SystemProbe {
    /// The environment and file system of this process.
    public init() {
        self.init(
            environment: { name in getenv(name).map { String(cString: $0) } }, userID: geteuid(),
            probe: SystemProbe())
    }

    /// Makes the directory of a socket where it is missing: /run/prism open to its users, anything else for ourselves.
    /// One that exists is left as it is. Returns the error number of a failure.
    public static func createDirectory(forSocket path: String) -> Int32? {
        let directory = directory(of: path)
        let mode: mode_t = directory == "/run/prism" ? 0o755 : 0o700
        return mkdir(directory, mode) == 0 || errno == EEXIST ? nil : errno
    }
}
