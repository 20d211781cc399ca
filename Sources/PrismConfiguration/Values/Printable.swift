/// Text from outside, made fit for one line of a terminal or a log.
enum Printable {
    static let charactersMax = 80

    /// Control characters are escaped, so that a file cannot steer a terminal, and long text is cut.
    static func text(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(charactersMax) {
            if scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || (0x202a...0x202e).contains(scalar.value)
                || (0x2066...0x2069).contains(scalar.value)
            {
                result += scalar.escaped(asASCII: true)
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return text.unicodeScalars.count > charactersMax ? result + "…" : result
    }

    /// The same, in quotes.
    static func quoted(_ text: String) -> String {
        "\"\(self.text(text))\""
    }
}
