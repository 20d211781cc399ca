internal import CSQLite
internal import PrismWire

/// The key-value operations that change entries. The caller has begun the transaction and commits it.
extension Executor {
    func write(
        _ request: RequestMessage, _ keyValue: KeyValueExecutor
    ) throws(Failure) {
        if let message = request.put {
            response.pointee.put = try result(put: message, keyValue)
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_PUT
        } else if let message = request.delete {
            response.pointee.delete_ = try result(delete: message, keyValue)
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_DELETE
        } else if let message = request.increment {
            response.pointee.increment = try result(increment: message, keyValue)
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_INCREMENT
        } else if let message = request.touch {
            response.pointee.touch = try result(touch: message, keyValue)
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_TOUCH
        }
    }

    func writeMany(
        _ request: RequestMessage, _ keyValue: KeyValueExecutor
    ) throws(Failure) {
        guard let message = request.write,
            let items = arena.allocate(UnsafeMutablePointer<Prism__V1__WriteItemResult>?.self, count: message.n_items)
        else { throw outOfMemory }
        for (index, item) in elements(message.items, message.n_items).enumerated() {
            let target = try make(Prism__V1__WriteItemResult.self) { prism__v1__write_item_result__init($0) }
            items[index] = target
            do throws(Failure) {
                guard let item = item?.pointee else { throw outOfMemory }
                switch item.operation_case {
                case PRISM__V1__WRITE_ITEM__OPERATION_PUT:
                    target.pointee.put = try result(put: item.put.pointee, keyValue)
                    target.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_PUT
                case PRISM__V1__WRITE_ITEM__OPERATION_DELETE:
                    target.pointee.delete_ = try result(delete: item.delete_.pointee, keyValue)
                    target.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_DELETE
                case PRISM__V1__WRITE_ITEM__OPERATION_INCREMENT:
                    target.pointee.increment = try result(increment: item.increment.pointee, keyValue)
                    target.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_INCREMENT
                default:
                    target.pointee.touch = try result(touch: item.touch.pointee, keyValue)
                    target.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_TOUCH
                }
            } catch {
                var failure = error
                failure.item = UInt32(index + 1)
                throw failure
            }
        }
        let result = try make(Prism__V1__WriteResult.self) { prism__v1__write_result__init($0) }
        result.pointee.items = items
        result.pointee.n_items = message.n_items
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_WRITE
        response.pointee.write = result
    }

    private func result(put message: Prism__V1__Put, _ keyValue: KeyValueExecutor)
        throws(Failure) -> UnsafeMutablePointer<Prism__V1__PutResult>
    {
        let version = try keyValue.put(message)
        let result = try make(Prism__V1__PutResult.self) { prism__v1__put_result__init($0) }
        result.pointee.version = version
        return result
    }

    private func result(delete message: Prism__V1__Delete, _ keyValue: KeyValueExecutor)
        throws(Failure) -> UnsafeMutablePointer<Prism__V1__DeleteResult>
    {
        let found = try keyValue.delete(message)
        let result = try make(Prism__V1__DeleteResult.self) { prism__v1__delete_result__init($0) }
        result.pointee.found = found ? 1 : 0
        return result
    }

    private func result(increment message: Prism__V1__Increment, _ keyValue: KeyValueExecutor)
        throws(Failure) -> UnsafeMutablePointer<Prism__V1__IncrementResult>
    {
        let (value, version) = try keyValue.increment(message)
        let result = try make(Prism__V1__IncrementResult.self) { prism__v1__increment_result__init($0) }
        result.pointee.value = value
        result.pointee.version = version
        return result
    }

    private func result(touch message: Prism__V1__Touch, _ keyValue: KeyValueExecutor)
        throws(Failure) -> UnsafeMutablePointer<Prism__V1__TouchResult>
    {
        let found = try keyValue.touch(message)
        let result = try make(Prism__V1__TouchResult.self) { prism__v1__touch_result__init($0) }
        result.pointee.found = found ? 1 : 0
        return result
    }
}
