import ArgumentParser
import PrismTools
import PrismWire

struct OutputOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON, errors included.")
    var json = false

    /// A table for people, lines for programs, or JSON where it was asked for.
    func format(_ output: StandardOutput) -> QueryPrinter.Format {
        json ? .json : output.isTerminal ? .table : .tabSeparated
    }

    /// Prints `text`, or the object that `fill` writes.
    func print(_ text: String, json fill: (inout JSONWriter) -> Void) throws(ToolError) {
        let output = StandardOutput()
        if json {
            var writer = JSONWriter()
            writer.beginObject()
            fill(&writer)
            writer.endObject()
            output.write(writer.bytes)
            output.write("\n")
        } else if !text.isEmpty {
            output.write(text + "\n")
        }
        try output.finish()
    }
}

extension StandardOutput {
    /// Flushes; a command whose output was lost has failed.
    func finish() throws(ToolError) {
        flush()
        guard let errorNumber = failure else { return }
        throw .failed(
            .init(
                .internal, at: .unspecified, outcome: .executed,
                "standard output could not be written: \(systemErrorText(errorNumber))",
                hint: "the request itself was answered"))
    }
}
