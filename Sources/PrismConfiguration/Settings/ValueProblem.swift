/// What is wrong with one value, before it is known where the value came from.
struct ValueProblem: Error, Equatable {
    let message: String
    let remedy: String

    init(_ message: String, remedy: String) {
        self.message = message
        self.remedy = remedy
    }
}
