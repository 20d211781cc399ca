extension RequestValidation {
    func checkGetMany(_ message: Prism__V1__GetMany?) throws(Failure) {
        guard let message else { throw missing }
        try checkNamespace(message.namespace_)
        guard message.n_keys <= limits.getManyKeysMax else {
            throw invalid("GetMany asks for \(message.n_keys) keys; at most \(limits.getManyKeysMax) are allowed")
        }
        for key in elements(message.keys, message.n_keys) { try checkKey(key) }
    }

    func checkPut(_ message: Prism__V1__Put?) throws(Failure) {
        guard let message else { throw missing }
        try checkAddress(message.namespace_, message.key)
        guard message.value.bytes.count <= limits.valueBytesMax else {
            throw invalid(
                "the value has \(message.value.bytes.count) bytes; limits.value_bytes allows \(limits.valueBytesMax)")
        }
        try checkTTL(message.ttl_milliseconds)
        try checkCondition(message.condition)
    }

    func checkDelete(_ message: Prism__V1__Delete?) throws(Failure) {
        guard let message else { throw missing }
        try checkAddress(message.namespace_, message.key)
        try checkCondition(message.condition)
        guard let condition = message.condition?.pointee else { return }
        switch condition.kind_case {
        case PRISM__V1__CONDITION__KIND__NOT_SET, PRISM__V1__CONDITION__KIND_VERSION_EQUALS: break
        default: throw invalid("Delete knows only the condition version_equals")
        }
    }

    func checkIncrement(_ message: Prism__V1__Increment?) throws(Failure) {
        guard let message else { throw missing }
        try checkAddress(message.namespace_, message.key)
        try checkTTL(message.ttl_on_creation_milliseconds)
    }

    func checkTouch(_ message: Prism__V1__Touch?) throws(Failure) {
        guard let message else { throw missing }
        try checkAddress(message.namespace_, message.key)
        try checkTTL(message.ttl_milliseconds)
    }

    func checkWrite(_ message: Prism__V1__Write?) throws(Failure) {
        guard let message else { throw missing }
        guard message.n_items >= 1, message.n_items <= limits.writeItemsMax else {
            throw invalid("Write has \(message.n_items) items; 1–\(limits.writeItemsMax) are allowed")
        }
        for (index, item) in elements(message.items, message.n_items).enumerated() {
            do throws(Failure) {
                switch item?.pointee.operation_case {
                case PRISM__V1__WRITE_ITEM__OPERATION_PUT: try checkPut(item?.pointee.put?.pointee)
                case PRISM__V1__WRITE_ITEM__OPERATION_DELETE: try checkDelete(item?.pointee.delete_?.pointee)
                case PRISM__V1__WRITE_ITEM__OPERATION_INCREMENT:
                    try checkIncrement(item?.pointee.increment?.pointee)
                case PRISM__V1__WRITE_ITEM__OPERATION_TOUCH: try checkTouch(item?.pointee.touch?.pointee)
                default: throw invalid("the item names no operation that this version knows")
                }
            } catch {
                var failure = error
                failure.item = UInt32(index + 1)
                throw failure
            }
        }
    }

    func checkScan(_ message: Prism__V1__Scan?) throws(Failure) {
        guard let message else { throw missing }
        try checkNamespace(message.namespace_)
        try checkRange(message.range)
        let cursor = message.cursor.bytes
        guard cursor.isEmpty || ScanCursor(cursor) != nil else {
            throw invalid("the cursor is not one that ScanResult answered; start again without it")
        }
    }

    func checkAddress(_ namespace: ProtobufCBinaryData?, _ key: ProtobufCBinaryData?) throws(Failure) {
        try checkNamespace(namespace)
        guard let key else { throw missing }
        try checkKey(key)
    }

    func checkNamespace(_ namespace: ProtobufCBinaryData?) throws(Failure) {
        guard let bytes = namespace?.bytes else { throw missing }
        guard bytes.count <= WireLimits.namespaceBytesMax,
            bytes.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D })
        else { throw invalid("a namespace is 1–64 of a-z 0-9 - (empty means \"default\")") }
    }

    func checkRange(_ range: UnsafeMutablePointer<Prism__V1__KeyRange>?) throws(Failure) {
        guard let range = range?.pointee else { return }
        for part in [range.prefix, range.start, range.end] where part.bytes.count > WireLimits.keyBytesMax {
            throw invalid("a prefix, start or end has at most \(WireLimits.keyBytesMax) bytes, like a key")
        }
        if !range.prefix.isEmpty, !range.start.isEmpty || !range.end.isEmpty {
            throw invalid("a range is given by a prefix or by start and end, not by both")
        }
    }

    private func checkKey(_ key: ProtobufCBinaryData) throws(Failure) {
        guard (1...WireLimits.keyBytesMax).contains(key.bytes.count) else {
            throw invalid("a key has 1–\(WireLimits.keyBytesMax) bytes; this one has \(key.bytes.count)")
        }
    }

    private func checkTTL(_ milliseconds: UInt64) throws(Failure) {
        guard milliseconds <= WireLimits.ttlMillisecondsMax else {
            throw invalid("a time to live of \(milliseconds) ms is above 100 years; 0 means that it does not expire")
        }
    }

    private func checkCondition(_ condition: UnsafeMutablePointer<Prism__V1__Condition>?) throws(Failure) {
        guard let condition = condition?.pointee else { return }
        switch condition.kind_case {
        case PRISM__V1__CONDITION__KIND_ABSENT where condition.absent == 0,
            PRISM__V1__CONDITION__KIND_PRESENT where condition.present == 0:
            throw invalid("a condition absent or present is true or left out")
        case PRISM__V1__CONDITION__KIND_VERSION_EQUALS where condition.version_equals == 0:
            throw invalid("version_equals 0 matches no entry; to demand that there is none use absent")
        default: break
        }
    }
}
