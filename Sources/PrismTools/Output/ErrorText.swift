internal import PrismWire

/// How a command says why it failed, on standard error.
public enum ErrorText {
    /// Code, message, what became of it, and what to do.
    public static func human(_ error: ToolError) -> String {
        switch error {
        case .usage(let message, let remedy):
            return "prism: \(message)\n" + (remedy.isEmpty ? "" : "  \(remedy)\n")
        case .failed(let failure):
            var text = "prism: \(failure.code.name): \(Printable.terminal(failure.message))\n"
            var facts = ["outcome: \(failure.outcome.name)", "stage: \(failure.stage.name)"]
            if !failure.sqlState.isEmpty { facts.append("sqlstate: \(Printable.terminal(failure.sqlState))") }
            if failure.sqliteCode != 0 { facts.append("sqlite code: \(failure.sqliteCode)") }
            if failure.code == .failedPrecondition { facts.append("current version: \(failure.currentVersion)") }
            if failure.item != 0 { facts.append("item: \(failure.item)") }
            if failure.position != 0 { facts.append("position: \(failure.position)") }
            text += "  \(facts.joined(separator: ", "))\n"
            if !failure.detail.isEmpty { text += "  \(Printable.terminal(failure.detail))\n" }
            if !failure.hint.isEmpty { text += "  \(Printable.terminal(failure.hint))\n" }
            if failure.isRetryable {
                let wait = DurationText.text(nanoseconds: failure.retryAfterMicroseconds &* 1_000)
                text += failure.retryAfterMicroseconds > 0 ? "  try again in \(wait)\n" : "  it can be tried again\n"
            }
            return text
        }
    }

    /// The same as one JSON object with the key `error`.
    public static func json(_ error: ToolError) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("error")
        writer.beginObject()
        switch error {
        case .usage(let message, let remedy):
            writer.field("code", "USAGE")
            writer.field("message", message)
            writer.field("hint", remedy)
        case .failed(let failure):
            writer.field("code", failure.code.name)
            writer.field("message", failure.message)
            writer.field("stage", failure.stage.name)
            writer.field("outcome", failure.outcome.name)
            writer.field("retryable", failure.isRetryable)
            writer.field("retry_after_microseconds", failure.retryAfterMicroseconds)
            writer.field("sqlstate", failure.sqlState)
            writer.field("sqlite_code", failure.sqliteCode)
            writer.field("current_version", failure.currentVersion)
            writer.field("item", failure.item)
            writer.field("position", failure.position)
            writer.field("detail", failure.detail)
            writer.field("hint", failure.hint)
        }
        writer.endObject()
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }
}
