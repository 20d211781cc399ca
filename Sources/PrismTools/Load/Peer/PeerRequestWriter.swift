internal import Glibc
internal import PrismWire

/// Writes a request as PostgreSQL's extended query protocol has it (version 3; PostgreSQL documentation, 55.7): Bind, Execute
/// and Sync of a prepared statement, or a Parse before them. Everything is text, as libpq's simplest calls have it.
struct PeerRequestWriter {
    /// What `PeerConnections` prepares.
    static let statementName = "prism_bench"
    /// Of a number as decimal text.
    private static let digitsMax = 20

    /// Parse, where the statement has no name.
    private let prefix: [UInt8]
    /// Bind from behind its length up to the number of parameters.
    private let bindHead: [UInt8]
    /// No result formats, then Execute without a limit of rows, then Sync.
    private static let suffix: [UInt8] = [0, 0] + message("E", [0, 0, 0, 0, 0]) + message("S", [])
    private let hasParameter: Bool
    private let keys: UInt64
    private var random: LoadRandom

    init(plan: LoadPlan, peer: LoadPeer, seed: UInt64) {
        let name = peer.isUnnamed ? [] : Array(Self.statementName.utf8)
        let sql = Array(LoadRequestWriter.sql(plan).utf8)
        // No types: the server infers them.
        prefix = peer.isUnnamed ? Self.message("P", [0] + sql + [0, 0, 0]) : []
        hasParameter = LoadRequestWriter.hasParameter(plan)
        // The unnamed portal, the statement, no parameter formats, the number of parameters.
        bindHead = [0] + name + [0, 0, 0, 0, hasParameter ? 1 : 0]
        keys = UInt64(max(plan.keys, 1))
        random = LoadRandom(seed: seed)
    }

    /// Appends the next request.
    mutating func append(to output: inout ByteQueue) {
        let index = random.next(below: keys)
        let bytesMax = prefix.count + 5 + bindHead.count + 4 + Self.digitsMax + Self.suffix.count
        output.append(upTo: bytesMax) { raw in
            var position = 0
            Self.copy(prefix, to: raw + position, &position)
            let bind = position
            raw.storeBytes(of: UInt8(ascii: "B"), toByteOffset: bind, as: UInt8.self)
            position += 5
            Self.copy(bindHead, to: raw + position, &position)
            if hasParameter {
                let digits = Self.writeDecimal(index, to: raw + position + 4)
                raw.storeBytes(of: UInt32(digits).bigEndian, toByteOffset: position, as: UInt32.self)
                position += 4 + digits
            }
            // The two bytes of "no result formats", which the suffix begins with, belong to Bind.
            raw.storeBytes(of: UInt32(position + 2 - bind - 1).bigEndian, toByteOffset: bind + 1, as: UInt32.self)
            Self.copy(Self.suffix, to: raw + position, &position)
            return position
        }
    }

    private static func copy(_ bytes: [UInt8], to target: UnsafeMutableRawPointer, _ position: inout Int) {
        bytes.withUnsafeBytes { source in
            if let base = source.baseAddress, !source.isEmpty { memcpy(target, base, source.count) }
        }
        position += bytes.count
    }

    /// - Returns: how many digits.
    private static func writeDecimal(_ number: UInt64, to target: UnsafeMutableRawPointer) -> Int {
        var count = 1
        var rest = number / 10
        while rest > 0 {
            count += 1
            rest /= 10
        }
        rest = number
        for position in stride(from: count - 1, through: 0, by: -1) {
            target.storeBytes(of: UInt8(ascii: "0") + UInt8(rest % 10), toByteOffset: position, as: UInt8.self)
            rest /= 10
        }
        return count
    }

    private static func message(_ type: Unicode.Scalar, _ body: [UInt8]) -> [UInt8] {
        let length = UInt32(body.count + 4)
        return [UInt8(ascii: type)] + withUnsafeBytes(of: length.bigEndian) { Array($0) } + body
    }
}
