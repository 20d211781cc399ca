/// A client's savepoint name as the server's. PostgreSQL cuts identifiers to 63 bytes without an error, and a client's name may
/// have 64: where it is too long, a hash of all of it stands for its end.
enum SavepointIdentifier {
    private static let prefix = "prism_client_"
    private static let bytesMax = 63

    /// - Parameter name: letters, digits and underscores of ASCII, so that none contains the mark before the hash.
    static func of(_ name: String) -> String {
        guard prefix.utf8.count + name.utf8.count > bytesMax else { return prefix + name }
        // FNV-1a, 64 bits. Who looks for two names with the same one finds them, for a transaction of his own.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let mark = "." + String(hash, radix: 36)
        return prefix + name.prefix(bytesMax - prefix.utf8.count - mark.utf8.count) + mark
    }
}
