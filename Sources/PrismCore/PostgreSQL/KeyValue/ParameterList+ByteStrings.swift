extension ParameterList {
    /// A bytea[] in binary, as `array_recv` reads it: dimensions, whether there are NULLs, the element's type; size and lower
    /// bound of the dimension; each element behind its length.
    public mutating func append<Strings: Collection>(byteStrings strings: Strings)
    where Strings.Element: Collection<UInt8> {
        let bytea: UInt32 = 17
        var bytes: [UInt8] = []
        bytes.reserveCapacity(20 + strings.reduce(0) { $0 + 4 + $1.count })
        func word(_ value: UInt32) { withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) } }
        word(strings.isEmpty ? 0 : 1)
        word(0)
        word(bytea)
        if !strings.isEmpty {
            word(UInt32(strings.count))
            word(1)
        }
        for string in strings {
            word(UInt32(string.count))
            bytes.append(contentsOf: string)
        }
        bytes.withUnsafeBytes { append(binary: $0) }
    }
}
