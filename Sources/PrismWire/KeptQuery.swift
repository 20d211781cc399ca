/// A plain query's structure, kept beside a copy of its frame so that nobody has to decode it again. What it points to stands in
/// the copy.
public enum KeptQuery {
    /// Of more, nothing is kept: what is kept is not counted as the frame is, and must stay small beside it.
    static let parametersMax = 8

    /// What keeping it takes, bytes; 0: it is not kept, because it is not plain, or points to more than bytes.
    public static func size(of request: RequestMessage) -> Int {
        guard request.operation != nil, let query = request.queryPointer else { return 0 }
        let count = query.pointee.n_parameters
        guard count <= parametersMax else { return 0 }
        for value in elements(query.pointee.parameters, count) {
            guard let value, value.pointee.kind_case.rawValue >= 2, value.pointee.kind_case.rawValue <= 6 else {
                return 0
            }
        }
        return MemoryLayout<Prism__V1__Query>.stride + count * (valueStride + pointerStride)
    }

    /// - Parameters:
    ///   - frame: what the request was decoded from.
    ///   - copy: a copy of it, which is to live as long as what is kept.
    ///   - memory: of the `size`, aligned to 8; gets it, the query in front.
    public static func keep(
        _ request: RequestMessage, of frame: UnsafeRawBufferPointer, copiedTo copy: UnsafeMutableRawPointer,
        in memory: UnsafeMutableRawBufferPointer
    ) {
        guard let source = request.queryPointer, let base = memory.baseAddress, let first = frame.baseAddress else {
            return
        }
        func moved(_ data: ProtobufCBinaryData) -> ProtobufCBinaryData {
            guard let bytes = data.data else { return data }
            let offset = UnsafeRawPointer(bytes) - first
            precondition(offset >= 0 && offset + data.len <= frame.count, "a plain query points out of its frame")
            return ProtobufCBinaryData(len: data.len, data: (copy + offset).assumingMemoryBound(to: UInt8.self))
        }
        let count = source.pointee.n_parameters
        let values = (base + MemoryLayout<Prism__V1__Query>.stride).bindMemory(
            to: Prism__V1__Value.self, capacity: count)
        let pointers = UnsafeMutableRawPointer(values + count).bindMemory(
            to: UnsafeMutablePointer<Prism__V1__Value>?.self, capacity: count)
        precondition(UnsafeRawPointer(pointers + count) <= base + memory.count, "the query needs more than its size")
        for index in 0..<count {
            guard let value = source.pointee.parameters[index] else { continue }
            (values + index).initialize(to: value.pointee)
            switch value.pointee.kind_case {
            case PRISM__V1__VALUE__KIND_TEXT: values[index].text = moved(value.pointee.text)
            case PRISM__V1__VALUE__KIND_BYTES: values[index].bytes = moved(value.pointee.bytes)
            default: break
            }
            (pointers + index).initialize(to: values + index)
        }
        let query = base.bindMemory(to: Prism__V1__Query.self, capacity: 1)
        query.initialize(to: source.pointee)
        query.pointee.sql = moved(source.pointee.sql)
        query.pointee.statement = moved(source.pointee.statement)
        query.pointee.parameters = count == 0 ? nil : pointers
    }

    private static var valueStride: Int { MemoryLayout<Prism__V1__Value>.stride }
    private static var pointerStride: Int { MemoryLayout<UnsafeMutablePointer<Prism__V1__Value>?>.stride }
}

extension RequestMessage {
    fileprivate var queryPointer: UnsafeMutablePointer<Prism__V1__Query>? {
        pointer.pointee.operation_case == PRISM__V1__REQUEST__OPERATION_QUERY ? pointer.pointee.query : nil
    }
}
