import PrismWire

/// Rows of Prism's own statements as the messages that answer them, made in the answer's arena.
extension AnswerBuilder {
    /// - Parameter row: nil: the entry is not there.
    func set(get row: ServerRow?) throws(Failure) {
        let result = try make(Prism__V1__GetResult.self) { prism__v1__get_result__init($0) }
        if let row { try fill(result, row, from: 0) }
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_GET
        response.pointee.get = result
    }

    func set(count row: ServerRow) throws(Failure) {
        let result = try make(Prism__V1__CountResult.self) { prism__v1__count_result__init($0) }
        result.pointee.count = UInt64(clamping: try row.integer(0))
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_COUNT
        response.pointee.count = result
    }

    /// One result a key, none of them found yet; `fill(_:place:)` finds them.
    func makeGetResults(count: Int) throws(Failure) -> [UnsafeMutablePointer<Prism__V1__GetResult>] {
        guard let all = arena.allocate(Prism__V1__GetResult.self, count: count) else { throw Self.outOfMemory }
        return (0..<count).map { index in
            prism__v1__get_result__init(all + index)
            return all + index
        }
    }

    /// A row of `getMany`.
    func fill(_ results: [UnsafeMutablePointer<Prism__V1__GetResult>], _ row: ServerRow) throws(Failure) {
        let place = try row.integer(0)
        guard place >= 1, place <= results.count else { throw .malformedRow }
        try fill(results[Int(place) - 1], row, from: 1)
        guard arena.usedBytes <= bytesMax * 4 else { throw Self.outOfMemory }
    }

    func set(getMany results: [UnsafeMutablePointer<Prism__V1__GetResult>]) throws(Failure) {
        let result = try make(Prism__V1__GetManyResult.self) { prism__v1__get_many_result__init($0) }
        result.pointee.entries = try pointers(results)
        result.pointee.n_entries = results.count
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_GET_MANY
        response.pointee.get_many = result
    }

    /// The answer of a request that is one change.
    func set(_ outcome: KeyValueWrite.Outcome) throws(Failure) {
        let item = try makeItem(outcome).pointee
        switch item.result_case {
        case PRISM__V1__WRITE_ITEM_RESULT__RESULT_PUT:
            response.pointee.put = item.put
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_PUT
        case PRISM__V1__WRITE_ITEM_RESULT__RESULT_DELETE:
            response.pointee.delete_ = item.delete_
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_DELETE
        case PRISM__V1__WRITE_ITEM_RESULT__RESULT_INCREMENT:
            response.pointee.increment = item.increment
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_INCREMENT
        default:
            response.pointee.touch = item.touch
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_TOUCH
        }
    }

    /// The answer of a Write.
    /// - Parameter outcomes: in the order of its items.
    func set(write outcomes: [KeyValueWrite.Outcome]) throws(Failure) {
        var items: [UnsafeMutablePointer<Prism__V1__WriteItemResult>] = []
        items.reserveCapacity(outcomes.count)
        for outcome in outcomes { items.append(try makeItem(outcome)) }
        let result = try make(Prism__V1__WriteResult.self) { prism__v1__write_result__init($0) }
        result.pointee.items = try pointers(items)
        result.pointee.n_items = items.count
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_WRITE
        response.pointee.write = result
    }

    private func makeItem(_ outcome: KeyValueWrite.Outcome) throws(Failure)
        -> UnsafeMutablePointer<Prism__V1__WriteItemResult>
    {
        let item = try make(Prism__V1__WriteItemResult.self) { prism__v1__write_item_result__init($0) }
        switch outcome {
        case .put(let version):
            item.pointee.put = try make(Prism__V1__PutResult.self) { prism__v1__put_result__init($0) }
            item.pointee.put.pointee.version = version
            item.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_PUT
        case .deleted(let found):
            item.pointee.delete_ = try make(Prism__V1__DeleteResult.self) { prism__v1__delete_result__init($0) }
            item.pointee.delete_.pointee.found = found ? 1 : 0
            item.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_DELETE
        case .incremented(let value, let version):
            item.pointee.increment = try make(Prism__V1__IncrementResult.self) {
                prism__v1__increment_result__init($0)
            }
            item.pointee.increment.pointee.value = value
            item.pointee.increment.pointee.version = version
            item.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_INCREMENT
        case .touched(let found):
            item.pointee.touch = try make(Prism__V1__TouchResult.self) { prism__v1__touch_result__init($0) }
            item.pointee.touch.pointee.found = found ? 1 : 0
            item.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_TOUCH
        case .refused:
            throw Failure(.internal, at: .execute, "a condition that does not hold was answered as a success")
        }
        return item
    }

    private func fill(
        _ result: UnsafeMutablePointer<Prism__V1__GetResult>, _ row: ServerRow, from column: Int
    ) throws(Failure) {
        result.pointee.found = 1
        result.pointee.version = UInt64(bitPattern: try row.integer(column))
        result.pointee.expires_at_milliseconds = try row.expiry(column + 1)
        result.pointee.value = try copy(try row.bytes(column + 2))
    }

    func copy(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> ProtobufCBinaryData {
        guard let copied = arena.copy(bytes) else { throw Self.outOfMemory }
        return copied
    }
}
