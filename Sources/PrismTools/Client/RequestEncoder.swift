internal import Glibc
internal import PrismWire

/// Builds a `Request` of protobuf-c's in an arena and packs it with its frame header.
///
/// Every step answers nil when the arena is full, which cannot happen to a request below the frame limit.
struct RequestEncoder {
    private let arena: Arena

    init(arena: Arena) {
        self.arena = arena
    }

    /// Appends a frame. False: the request is larger than a frame can be.
    func append(
        _ operation: Operation, id: UInt64, _ options: RequestOptions, to output: inout ByteQueue
    ) -> Bool {
        guard let request = make(prism__v1__request__init), let backend = arena.copy(options.backend) else {
            return false
        }
        request.pointee.id = id
        request.pointee.timeout_microseconds = options.timeoutMicroseconds
        request.pointee.backend = backend
        request.pointee.read_only = options.isReadOnly ? 1 : 0
        guard fill(request, operation) != nil else { return false }
        let size = prism__v1__request__get_packed_size(request)
        guard size <= Frame.bytesMaxCeiling else { return false }
        output.append(upTo: Frame.headerBytes + size) { target in
            target.storeBytes(of: UInt32(size).bigEndian, as: UInt32.self)
            return Frame.headerBytes
                + prism__v1__request__pack(request, (target + Frame.headerBytes).assumingMemoryBound(to: UInt8.self))
        }
        return true
    }

    private func fill(_ request: UnsafeMutablePointer<Prism__V1__Request>, _ operation: Operation) -> Void? {
        switch operation {
        case .ping(let payload):
            guard let body = make(prism__v1__ping__init), let payload = copy(payload) else { return nil }
            body.pointee.payload = payload
            request.pointee.ping = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_PING
        case .hello(let clientName, let clientVersion):
            guard let body = make(prism__v1__hello__init), let name = arena.copy(clientName),
                let version = arena.copy(clientVersion)
            else { return nil }
            body.pointee.client_name = name
            body.pointee.client_version = version
            request.pointee.hello = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_HELLO
        case .get(let namespace, let key):
            guard let body = make(prism__v1__get__init), let namespace = arena.copy(namespace), let key = copy(key)
            else { return nil }
            body.pointee.namespace_ = namespace
            body.pointee.key = key
            request.pointee.get = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_GET
        case .put(let namespace, let put):
            guard let body = makePut(namespace, put) else { return nil }
            request.pointee.put = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_PUT
        case .delete(let namespace, let key, let version):
            guard let body = make(prism__v1__delete__init), let namespace = arena.copy(namespace), let key = copy(key)
            else { return nil }
            body.pointee.namespace_ = namespace
            body.pointee.key = key
            if let version {
                guard let condition = makeCondition(.versionEquals(version)) else { return nil }
                body.pointee.condition = condition
            }
            request.pointee.delete_ = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_DELETE
        case .increment(let namespace, let key, let delta, let timeToLive):
            guard let body = make(prism__v1__increment__init), let namespace = arena.copy(namespace),
                let key = copy(key)
            else { return nil }
            body.pointee.namespace_ = namespace
            body.pointee.key = key
            body.pointee.delta = delta
            body.pointee.ttl_on_creation_milliseconds = timeToLive
            request.pointee.increment = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_INCREMENT
        case .touch(let namespace, let key, let timeToLive):
            guard let body = make(prism__v1__touch__init), let namespace = arena.copy(namespace), let key = copy(key)
            else { return nil }
            body.pointee.namespace_ = namespace
            body.pointee.key = key
            body.pointee.ttl_milliseconds = timeToLive
            request.pointee.touch = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_TOUCH
        case .putMany(let namespace, let puts):
            return fillWrite(request, puts) { item, put in
                guard let body = makePut(namespace, put) else { return nil }
                item.pointee.put = body
                item.pointee.operation_case = PRISM__V1__WRITE_ITEM__OPERATION_PUT
                return ()
            }
        case .deleteMany(let namespace, let keys):
            return fillWrite(request, keys) { item, key in
                guard let body = make(prism__v1__delete__init), let namespace = arena.copy(namespace),
                    let key = copy(key)
                else { return nil }
                body.pointee.namespace_ = namespace
                body.pointee.key = key
                item.pointee.delete_ = body
                item.pointee.operation_case = PRISM__V1__WRITE_ITEM__OPERATION_DELETE
                return ()
            }
        case .scan(let namespace, let scan):
            guard let body = make(prism__v1__scan__init), let namespace = arena.copy(namespace),
                let range = makeRange(scan.range), let cursor = copy(scan.cursor)
            else { return nil }
            body.pointee.namespace_ = namespace
            body.pointee.range = range
            body.pointee.reverse = scan.isReverse ? 1 : 0
            body.pointee.keys_only = scan.isKeysOnly ? 1 : 0
            body.pointee.limit = scan.limit
            body.pointee.cursor = cursor
            request.pointee.scan = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_SCAN
        case .count(let namespace, let range):
            guard let body = make(prism__v1__count__init), let namespace = arena.copy(namespace),
                let range = makeRange(range)
            else { return nil }
            body.pointee.namespace_ = namespace
            body.pointee.range = range
            request.pointee.count = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_COUNT
        case .query(let sql, let parameters):
            guard let body = makeQuery(sql, parameters) else { return nil }
            request.pointee.query = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_QUERY
        case .namedQuery(let statement, let parameters):
            guard let body = makeQuery("", parameters), let name = arena.copy(statement) else { return nil }
            body.pointee.statement = name
            request.pointee.query = body
            request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_QUERY
        case .batch(let sql, let parameterSets):
            return fillBatch(request, sql, parameterSets)
        }
        return ()
    }

    private func fillWrite<Part>(
        _ request: UnsafeMutablePointer<Prism__V1__Request>, _ parts: [Part],
        _ fillItem: (UnsafeMutablePointer<Prism__V1__WriteItem>, Part) -> Void?
    ) -> Void? {
        let items = repeated(parts) { part -> UnsafeMutablePointer<Prism__V1__WriteItem>? in
            guard let item = make(prism__v1__write_item__init), fillItem(item, part) != nil else { return nil }
            return item
        }
        guard let body = make(prism__v1__write__init), let items else { return nil }
        body.pointee.n_items = parts.count
        body.pointee.items = items
        request.pointee.write = body
        request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_WRITE
        return ()
    }

    private func fillBatch(
        _ request: UnsafeMutablePointer<Prism__V1__Request>, _ sql: String, _ parameterSets: [[SQLValue]]
    ) -> Void? {
        let sets = repeated(parameterSets) { parameters -> UnsafeMutablePointer<Prism__V1__ParameterSet>? in
            guard let set = make(prism__v1__parameter_set__init), let values = repeated(parameters, makeValue) else {
                return nil
            }
            set.pointee.n_parameters = parameters.count
            set.pointee.parameters = values
            return set
        }
        guard let body = make(prism__v1__batch__init), let sets,
            let statements = repeated([sql], { makeQuery($0, []) })
        else { return nil }
        body.pointee.n_statements = 1
        body.pointee.statements = statements
        body.pointee.n_parameter_sets = parameterSets.count
        body.pointee.parameter_sets = sets
        request.pointee.batch = body
        request.pointee.operation_case = PRISM__V1__REQUEST__OPERATION_BATCH
        return ()
    }

    private func makePut(_ namespace: String, _ put: Operation.Put) -> UnsafeMutablePointer<Prism__V1__Put>? {
        guard let body = make(prism__v1__put__init), let namespace = arena.copy(namespace), let key = copy(put.key),
            let value = copy(put.value)
        else { return nil }
        body.pointee.namespace_ = namespace
        body.pointee.key = key
        body.pointee.value = value
        body.pointee.ttl_milliseconds = put.timeToLiveMilliseconds
        if let condition = put.condition {
            guard let made = makeCondition(condition) else { return nil }
            body.pointee.condition = made
        }
        return body
    }

    private func makeCondition(_ condition: Operation.Condition) -> UnsafeMutablePointer<Prism__V1__Condition>? {
        guard let made = make(prism__v1__condition__init) else { return nil }
        switch condition {
        case .absent:
            made.pointee.absent = 1
            made.pointee.kind_case = PRISM__V1__CONDITION__KIND_ABSENT
        case .present:
            made.pointee.present = 1
            made.pointee.kind_case = PRISM__V1__CONDITION__KIND_PRESENT
        case .versionEquals(let version):
            made.pointee.version_equals = version
            made.pointee.kind_case = PRISM__V1__CONDITION__KIND_VERSION_EQUALS
        }
        return made
    }

    private func makeRange(_ range: Operation.KeyRange) -> UnsafeMutablePointer<Prism__V1__KeyRange>? {
        guard let made = make(prism__v1__key_range__init), let prefix = copy(range.prefix),
            let start = copy(range.start), let end = copy(range.end)
        else { return nil }
        made.pointee.prefix = prefix
        made.pointee.start = start
        made.pointee.end = end
        return made
    }

    private func makeQuery(_ sql: String, _ parameters: [SQLValue]) -> UnsafeMutablePointer<Prism__V1__Query>? {
        guard let body = make(prism__v1__query__init), let sql = arena.copy(sql),
            let values = repeated(parameters, makeValue)
        else { return nil }
        body.pointee.sql = sql
        body.pointee.n_parameters = parameters.count
        body.pointee.parameters = values
        return body
    }

    private func makeValue(_ value: SQLValue) -> UnsafeMutablePointer<Prism__V1__Value>? {
        guard let made = make(prism__v1__value__init) else { return nil }
        switch value {
        case .null:
            guard let null = make(prism__v1__null__init) else { return nil }
            made.pointee.null = null
            made.pointee.kind_case = PRISM__V1__VALUE__KIND_NULL
        case .integer(let integer):
            made.pointee.integer = integer
            made.pointee.kind_case = PRISM__V1__VALUE__KIND_INTEGER
        case .double(let double):
            made.pointee.double_ = double
            made.pointee.kind_case = PRISM__V1__VALUE__KIND_DOUBLE
        case .text(let text):
            guard let text = arena.copy(text) else { return nil }
            made.pointee.text = text
            made.pointee.kind_case = PRISM__V1__VALUE__KIND_TEXT
        case .bytes(let bytes):
            guard let bytes = copy(bytes) else { return nil }
            made.pointee.bytes = bytes
            made.pointee.kind_case = PRISM__V1__VALUE__KIND_BYTES
        }
        return made
    }

    private func make<T>(_ initialize: (UnsafeMutablePointer<T>?) -> Void) -> UnsafeMutablePointer<T>? {
        guard let message = arena.allocate(T.self) else { return nil }
        initialize(message)
        return message
    }

    private func repeated<Source, T>(
        _ sources: [Source], _ make: (Source) -> UnsafeMutablePointer<T>?
    ) -> UnsafeMutablePointer<UnsafeMutablePointer<T>?>? {
        guard let list = arena.allocate(UnsafeMutablePointer<T>?.self, count: max(sources.count, 1)) else { return nil }
        for (index, source) in sources.enumerated() {
            guard let element = make(source) else { return nil }
            (list + index).initialize(to: element)
        }
        return list
    }

    private func copy(_ bytes: [UInt8]) -> ProtobufCBinaryData? {
        bytes.withUnsafeBytes { arena.copy($0) }
    }
}
