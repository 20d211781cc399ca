/// Limits that a single request is judged against. Every one has a setting of the same name and a line in docs/limits.md.
public struct WireLimits: Sendable, Equatable {
    public var frameBytesMax = 4 << 20
    /// Memory that one decoded request may use.
    public var decodeBytesMax = 16 << 20
    public var getManyKeysMax = 1_000
    public var writeItemsMax = 1_000
    public var batchStatementsMax = 1_000
    public var valueBytesMax = 1 << 20
    public var sqlBytesMax = 1 << 20
    public var parametersMax = 32_766

    // Fixed by the contract, not settable.
    public static let keyBytesMax = 1_024
    public static let namespaceBytesMax = 64
    public static let savepointBytesMax = 64
    public static let idempotencyKeyBytesMax = 255
    public static let clientNameBytesMax = 64
    public static let backendNameBytesMax = 64
    /// 100 years: above it a time to live is surely a mistake of unit.
    public static let ttlMillisecondsMax: UInt64 = 3_155_760_000_000

    public init() {}
}
