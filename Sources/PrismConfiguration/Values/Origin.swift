extension Configuration {
    /// The layer that a setting came from, precise enough to find the place.
    public enum Origin: Sendable, Hashable, CustomStringConvertible {
        case `default`
        /// A line of the file, from 1; `nil` where the file as a whole is meant.
        case file(String, line: Int?)
        case environment(String)
        case flag(String)

        public var description: String {
            switch self {
            case .default: "default"
            case .file(let name, let line?): "\(name):\(line)"
            case .file(let name, nil): name
            case .environment(let variable): variable
            case .flag(let flag): flag
            }
        }

        /// The layer's name: `default`, `file`, `environment` or `flag`.
        public var layer: String {
            switch self {
            case .default: "default"
            case .file: "file"
            case .environment: "environment"
            case .flag: "flag"
            }
        }
    }
}
