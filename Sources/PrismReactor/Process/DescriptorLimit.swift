internal import CLinux

/// The process's limit of open descriptors (RLIMIT_NOFILE).
public struct DescriptorLimit: Equatable, Sendable {
    /// The soft limit as it was found.
    public let before: UInt64

    /// The soft limit now in force.
    public let after: UInt64

    /// The hard limit.
    public let hard: UInt64
}

/// Raises the soft limit of open descriptors to the hard one, and says what they were and are. Any thread; children inherit it.
public func raiseDescriptorLimit() throws(SystemCallError) -> DescriptorLimit {
    var soft: UInt64 = 0
    var hard: UInt64 = 0
    let read = prism_descriptor_limit(&soft, &hard)
    guard read == 0 else { throw SystemCallError(call: "getrlimit", code: -read) }
    if soft < hard {
        let raised = prism_set_descriptor_limit(hard, hard)
        guard raised == 0 else { throw SystemCallError(call: "setrlimit", code: -raised) }
    }
    return DescriptorLimit(before: soft, after: max(soft, hard), hard: hard)
}
