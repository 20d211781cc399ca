internal import CLinux

/// A system call that failed: which one, and the kernel's error number.
public struct SystemCallError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The call's name as in section 2 or 3 of the manual, for example `epoll_ctl`.
    public let call: String

    /// The error number (`errno`), positive.
    public let code: CInt

    public init(call: String, code: CInt) {
        self.call = call
        self.code = code
    }

    /// The kernel's text for `code`, for example `Permission denied`.
    public var reason: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
            guard let base = buffer.baseAddress, let text = prism_error_text(code, base, buffer.count) else {
                return ""
            }
            return String(cString: text)
        }
    }

    public var description: String { "\(call): \(reason) (errno \(code))" }
}
