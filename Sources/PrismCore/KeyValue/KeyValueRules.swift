public import PrismWire

/// What key-value operations mean on every database, said once.
public enum KeyValueRules {
    private static let defaultNamespace: StaticString = "default"

    /// An empty namespace means "default".
    public static func namespace(_ data: ProtobufCBinaryData) -> UnsafeRawBufferPointer {
        data.isEmpty
            ? UnsafeRawBufferPointer(start: defaultNamespace.utf8Start, count: defaultNamespace.utf8CodeUnitCount)
            : data.bytes
    }

    /// The longest number: a sign and 19 digits.
    public static let numberBytesMax = 20

    /// The number that a value is; nil: it is none.
    public static func number(_ value: UnsafeRawBufferPointer) -> Int64? {
        value.count <= numberBytesMax ? Int64(String(decoding: value, as: UTF8.self)) : nil
    }

    /// Whether a condition holds of an entry with this version; nil: it is not there.
    public static func holds(_ condition: Prism__V1__Condition, version: Int64?) -> Bool {
        switch condition.kind_case {
        case PRISM__V1__CONDITION__KIND_ABSENT: version == nil
        case PRISM__V1__CONDITION__KIND_PRESENT: version != nil
        case PRISM__V1__CONDITION__KIND_VERSION_EQUALS:
            version.map { UInt64(bitPattern: $0) } == condition.version_equals
        default: true
        }
    }
}

extension Failure {
    /// A condition that does not hold.
    /// - Parameter version: the entry's; nil: it is not there.
    public static func conditionFailed(_ condition: Prism__V1__Condition, version: Int64?) -> Failure {
        let now = version.map { "it has version \($0)" } ?? "it is not there"
        return Failure(
            .failedPrecondition, at: .execute, "the condition (\(wanted(condition))) does not hold: \(now)",
            currentVersion: UInt64(bitPattern: version ?? 0))
    }

    /// A condition that did not hold when it was judged, and does by now.
    public static func conditionFailedBefore(_ condition: Prism__V1__Condition, version: Int64?) -> Failure {
        let now = version.map { "it has version \($0)" } ?? "it is not there"
        return Failure(
            .failedPrecondition, at: .execute,
            "the condition (\(wanted(condition))) did not hold, but the entry has changed meanwhile: now \(now)",
            isRetryable: true, currentVersion: UInt64(bitPattern: version ?? 0))
    }

    public static func notANumber(version: Int64) -> Failure {
        Failure(
            .failedPrecondition, at: .execute,
            "the entry's value is not decimal text of a 64-bit integer; Put one first",
            currentVersion: UInt64(bitPattern: version))
    }

    /// - Parameter version: the entry's; 0: it is not there.
    public static func sumOverflows(version: Int64) -> Failure {
        Failure(
            .outOfRange, at: .execute, "the sum does not fit into 64 bits; the entry is unchanged",
            currentVersion: UInt64(bitPattern: version))
    }

    private static func wanted(_ condition: Prism__V1__Condition) -> String {
        switch condition.kind_case {
        case PRISM__V1__CONDITION__KIND_ABSENT: "absent"
        case PRISM__V1__CONDITION__KIND_PRESENT: "present"
        default: "version \(condition.version_equals)"
        }
    }
}
