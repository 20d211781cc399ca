internal import Glibc

extension Configuration {
    /// A numeric address and a port. Names are not accepted: looking one up can block the start.
    public struct TCPAddress: Sendable, Hashable, CustomStringConvertible {
        /// An IPv4 or IPv6 address without brackets.
        public let host: String
        /// 0: the kernel chooses.
        public let port: UInt16
        public let isIPv6: Bool

        /// `127.0.0.1:9901` or `[::1]:9901`; `nil` for anything else.
        init?(_ text: String) {
            guard let colon = text.lastIndex(of: ":") else { return nil }
            let digits = text[text.index(after: colon)...]
            guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let port = UInt16(digits)
            else { return nil }
            var host = text[..<colon]
            let isIPv6 = host.hasPrefix("[") && host.hasSuffix("]")
            if isIPv6 { host = host.dropFirst().dropLast() }
            var address = in6_addr()
            guard inet_pton(isIPv6 ? AF_INET6 : AF_INET, String(host), &address) == 1 else { return nil }
            self.host = String(host)
            self.port = port
            self.isIPv6 = isIPv6
        }

        public var description: String {
            isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}
