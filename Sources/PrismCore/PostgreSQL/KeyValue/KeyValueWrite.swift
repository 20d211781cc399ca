import PrismWire

/// One change of one entry: a request, or an item of a Write. Borrows the request's arena.
enum KeyValueWrite {
    case put(Prism__V1__Put)
    case delete(Prism__V1__Delete)
    case increment(Prism__V1__Increment)
    case touch(Prism__V1__Touch)

    /// What its statement's row, or the lack of one, says.
    enum Outcome: Equatable {
        case put(version: UInt64)
        case deleted(Bool)
        case incremented(value: Int64, version: UInt64)
        case touched(Bool)
        /// The condition does not hold; `failure(explainedBy:)` says why.
        case refused
    }

    /// Nil: the request is none.
    init?(_ request: RequestMessage) {
        if let put = request.put {
            self = .put(put)
        } else if let delete = request.delete {
            self = .delete(delete)
        } else if let increment = request.increment {
            self = .increment(increment)
        } else if let touch = request.touch {
            self = .touch(touch)
        } else {
            return nil
        }
    }

    /// Nil: it names no operation.
    init?(_ item: Prism__V1__WriteItem) {
        switch item.operation_case {
        case PRISM__V1__WRITE_ITEM__OPERATION_PUT: self = .put(item.put.pointee)
        case PRISM__V1__WRITE_ITEM__OPERATION_DELETE: self = .delete(item.delete_.pointee)
        case PRISM__V1__WRITE_ITEM__OPERATION_INCREMENT: self = .increment(item.increment.pointee)
        case PRISM__V1__WRITE_ITEM__OPERATION_TOUCH: self = .touch(item.touch.pointee)
        default: return nil
        }
    }

    var namespace: UnsafeRawBufferPointer {
        switch self {
        case .put(let message): KeyValueRules.namespace(message.namespace_)
        case .delete(let message): KeyValueRules.namespace(message.namespace_)
        case .increment(let message): KeyValueRules.namespace(message.namespace_)
        case .touch(let message): KeyValueRules.namespace(message.namespace_)
        }
    }

    var key: UnsafeRawBufferPointer {
        switch self {
        case .put(let message): message.key.bytes
        case .delete(let message): message.key.bytes
        case .increment(let message): message.key.bytes
        case .touch(let message): message.key.bytes
        }
    }

    /// Nil: it has none.
    private var condition: Prism__V1__Condition? {
        let condition =
            switch self {
            case .put(let message): message.condition?.pointee
            case .delete(let message): message.condition?.pointee
            case .increment, .touch: Prism__V1__Condition?.none
            }
        return condition?.kind_case == PRISM__V1__CONDITION__KIND__NOT_SET ? nil : condition
    }

    /// Whether `currentVersion` has to follow in the same transaction, for `failure(explainedBy:)`.
    var needsExplanation: Bool { condition != nil }

    /// The first parameters of every statement on one entry; all of `currentVersion`'s.
    func address(into parameters: inout ParameterList) {
        parameters.append(text: namespace)
        parameters.append(binary: key)
    }

    /// The statement that carries it out.
    ///
    /// - Parameters:
    ///   - mayPutAgain: the same transaction may put the key again behind a delete.
    ///   - parameters: gets the statement's; empty before.
    func statement(mayPutAgain: Bool, into parameters: inout ParameterList) -> PostgreSQLStatement {
        address(into: &parameters)
        switch self {
        case .put(let message):
            parameters.append(binary: message.value.bytes)
            parameters.append(Int64(clamping: message.ttl_milliseconds))
            guard let condition else { return .putAlways }
            switch condition.kind_case {
            case PRISM__V1__CONDITION__KIND_ABSENT: return .putIfAbsent
            case PRISM__V1__CONDITION__KIND_PRESENT: return .putIfPresent
            default:
                parameters.append(Int64(bitPattern: condition.version_equals))
                return .putIfVersion
            }
        case .delete:
            guard let condition else { return mayPutAgain ? .tombstone : .delete }
            parameters.append(Int64(bitPattern: condition.version_equals))
            return mayPutAgain ? .tombstoneIfVersion : .deleteIfVersion
        case .increment(let message):
            parameters.append(message.delta)
            parameters.append(Int64(clamping: message.ttl_on_creation_milliseconds))
            return .increment
        case .touch(let message):
            parameters.append(Int64(clamping: message.ttl_milliseconds))
            return .touch
        }
    }

    /// - Parameter row: nil: the statement has ended without one.
    /// - Throws: FAILED_PRECONDITION and OUT_OF_RANGE of an increment; INTERNAL: the row is not what the statement returns.
    func outcome(of row: ServerRow?) throws(Failure) -> Outcome {
        guard let row else {
            switch self {
            case .put: return .refused
            case .delete: return condition == nil ? .deleted(false) : .refused
            case .touch: return .touched(false)
            case .increment: throw .malformedRow
            }
        }
        let version = try row.integer(0)
        switch self {
        case .put: return .put(version: UInt64(bitPattern: version))
        case .delete: return .deleted(true)
        case .touch: return .touched(true)
        case .increment:
            let number = row.isNull(1) ? nil : KeyValueRules.number(try row.bytes(1))
            guard let number else { throw .notANumber(version: version) }
            guard try row.boolean(2) else { throw .sumOverflows(version: version) }
            return .incremented(value: number, version: UInt64(bitPattern: version))
        }
    }

    /// Why the condition did not hold.
    /// - Parameter row: what `currentVersion` returned.
    func failure(explainedBy row: ServerRow) -> Failure {
        guard let condition else { return .malformedRow }
        do throws(Failure) {
            let version = row.isNull(0) ? nil : try row.integer(0)
            // Between the two statements somebody else may have changed an entry that was not there to be locked.
            return KeyValueRules.holds(condition, version: version)
                ? .conditionFailedBefore(condition, version: version) : .conditionFailed(condition, version: version)
        } catch {
            return error
        }
    }
}
