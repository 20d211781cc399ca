/// Which parameters a statement's text names. The server takes more of them than the text has as long as each has a type, so
/// a value that nothing would read is found here.
enum ParameterNumbers {
    /// The largest n of all `$n`; 0: there is none. What is quoted or a comment does not count.
    static func largest(in sql: UnsafeRawBufferPointer) -> Int {
        var scanner = SQLScanner(sql)
        var largest = 0
        while let token = scanner.next() {
            guard token.kind == .other, sql[token.start] == UInt8(ascii: "$") else { continue }
            var number = 0
            var index = token.start + 1
            while index < sql.count, sql[index] &- 0x30 < 10, number < 1 << 20 {
                number = number * 10 + Int(sql[index] &- 0x30)
                index += 1
            }
            largest = max(largest, number)
        }
        return largest
    }
}
