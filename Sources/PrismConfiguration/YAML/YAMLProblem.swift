/// What is wrong with the file as YAML.
struct YAMLProblem: Error, Sendable, Equatable {
    /// From 1; `nil` for the file as a whole.
    let line: Int?
    let key: String?
    let message: String
    let remedy: String

    init(line: Int?, key: String? = nil, _ message: String, remedy: String) {
        self.line = line
        self.key = key
        self.message = message
        self.remedy = remedy
    }
}
