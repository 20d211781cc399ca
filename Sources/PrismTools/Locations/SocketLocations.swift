/// Where the sockets are when nobody says so (CONTRACT 7), as pure functions over an environment and a file system.
public struct SocketLocations<Probe: FileSystemProbe> {
    private let environment: (String) -> String?
    private let userID: UInt32
    private let probe: Probe

    /// - Parameters:
    ///   - environment: the value of a variable; empty counts as not set.
    ///   - userID: the effective uid.
    public init(environment: @escaping (String) -> String?, userID: UInt32, probe: Probe) {
        self.environment = environment
        self.userID = userID
        self.probe = probe
    }

    /// The default data sockets, most preferred first.
    public var defaults: [String] {
        var paths = ["/run/prism/prism.sock"]
        // A relative one is invalid and to be ignored (XDG Base Directory Specification).
        if let runtime = variable("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") {
            paths.append("\(runtime)/prism/prism.sock")
        }
        return paths + ["/tmp/prism-\(userID)/prism.sock"]
    }

    /// What the server serves: the option, PRISM_SOCKET, what the configuration says, or the first default whose directory
    /// it can create or write. Nil: there is none.
    public func serverDataSocket(option: String?, configured: String? = nil) -> String? {
        option ?? variable("PRISM_SOCKET") ?? configured ?? defaults.first { canServe(in: Self.directory(of: $0)) }
    }

    /// What the server serves its admin socket at, given its data socket.
    public func serverAdminSocket(option: String?, configured: String? = nil, dataSocket: String) -> String {
        option ?? variable("PRISM_ADMIN_SOCKET") ?? configured ?? Self.adminSocket(beside: dataSocket)
    }

    /// What a command connects to: the option, PRISM_SOCKET, or the first default socket that exists. Nil: there is none.
    public func commandDataSocket(option: String?) -> String? {
        option ?? variable("PRISM_SOCKET") ?? defaults.first { isTrustedSocket($0) }
    }

    /// What an admin command connects to: the option, PRISM_ADMIN_SOCKET, `admin.sock` beside a data socket that was named,
    /// or the first one that exists beside a default. Nil: there is none.
    public func commandAdminSocket(option: String?, dataSocketOption: String?) -> String? {
        if let named = option ?? variable("PRISM_ADMIN_SOCKET") { return named }
        if let data = dataSocketOption ?? variable("PRISM_SOCKET") { return Self.adminSocket(beside: data) }
        return defaults.map { Self.adminSocket(beside: $0) }.first { isTrustedSocket($0) }
    }

    public static func adminSocket(beside dataSocket: String) -> String {
        let directory = directory(of: dataSocket)
        return directory == "/" ? "/admin.sock" : "\(directory)/admin.sock"
    }

    /// The directory part of a path, as dirname(1) has it.
    public static func directory(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private func variable(_ name: String) -> String? {
        environment(name).flatMap { $0.isEmpty ? nil : $0 }
    }

    private func canServe(in directory: String) -> Bool {
        switch probe.entry(directory) {
        case .directory(let isWritable, let owner): isWritable && isTrusted(directory, owner: owner)
        case .missing:
            if case .directory(let isWritable, _) = probe.entry(Self.directory(of: directory)) {
                isWritable
            } else {
                false
            }
        case .socket, .other: false
        }
    }

    private func isTrustedSocket(_ path: String) -> Bool {
        guard probe.entry(path) == .socket else { return false }
        let directory = Self.directory(of: path)
        guard case .directory(_, let owner) = probe.entry(directory) else { return false }
        return isTrusted(directory, owner: owner)
    }

    /// Anybody can make a directory below /tmp: one that bears our name must be ours.
    private func isTrusted(_ directory: String, owner: UInt32) -> Bool {
        !directory.hasPrefix("/tmp/") || owner == userID
    }
}
