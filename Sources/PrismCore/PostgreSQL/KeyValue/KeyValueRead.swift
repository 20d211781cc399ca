import PrismWire

/// A key-value request that reads, as a statement.
enum KeyValueRead {
    static func get(_ message: Prism__V1__Get, into parameters: inout ParameterList) -> PostgreSQLStatement {
        parameters.append(text: KeyValueRules.namespace(message.namespace_))
        parameters.append(binary: message.key.bytes)
        return .get
    }

    static func getMany(_ message: Prism__V1__GetMany, into parameters: inout ParameterList) -> PostgreSQLStatement {
        parameters.append(text: KeyValueRules.namespace(message.namespace_))
        parameters.append(byteStrings: elements(message.keys, message.n_keys).lazy.map(\.bytes))
        return .getMany
    }

    static func count(_ message: Prism__V1__Count, into parameters: inout ParameterList) -> PostgreSQLStatement {
        let bounds = KeyBounds(message.range)
        parameters.append(text: KeyValueRules.namespace(message.namespace_))
        parameters.append(binary: bounds.lower)
        guard let upper = bounds.upper else { return .count }
        parameters.append(binary: upper)
        return .countBelow
    }

    /// Asks for one entry above the limit: it says whether the limit has ended the scan.
    static func scan(_ message: Prism__V1__Scan, into parameters: inout ParameterList) -> PostgreSQLStatement {
        let isReverse = message.reverse != 0
        let bounds = KeyBounds(message.range, cursor: message.cursor, reverse: isReverse)
        let limit = Int64(clamping: message.limit)
        parameters.append(text: KeyValueRules.namespace(message.namespace_))
        parameters.append(binary: bounds.lower)
        parameters.append(limit == 0 || limit == .max ? 0 : limit + 1)
        if let upper = bounds.upper { parameters.append(binary: upper) }
        return switch (message.keys_only != 0, isReverse, bounds.upper != nil) {
        case (false, false, false): .scanUp
        case (false, false, true): .scanUpBelow
        case (false, true, false): .scanDown
        case (false, true, true): .scanDownBelow
        case (true, false, false): .keysUp
        case (true, false, true): .keysUpBelow
        case (true, true, false): .keysDown
        case (true, true, true): .keysDownBelow
        }
    }
}

extension ParameterList {
    fileprivate mutating func append(binary bytes: [UInt8]) {
        bytes.withUnsafeBytes { append(binary: $0) }
    }
}
