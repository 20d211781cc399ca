import CPrismWire
import Foundation

/// Reads any decoded message through protobuf-c's descriptors, as protobuf's JSON writes it: so that the vectors judge the
/// generated C itself, every field of it, and not a list of fields that somebody kept in step by hand.
enum MessageText {
    /// The message as `canonical` writes JSON.
    static func render(_ message: UnsafeRawPointer) -> String { canonical(json(message)) }

    /// `Message.field` of what the schema calls a string: the generated C has bytes for both.
    private static let strings: Set<String> = {
        let schema = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("proto/prism/v1/prism.proto")
        var found: Set<String> = []
        var message = ""
        for line in ((try? String(contentsOf: schema, encoding: .utf8)) ?? "").split(separator: "\n") {
            if let match = line.firstMatch(of: #/^message (\w+)/#) { message = String(match.1) }
            if let match = line.firstMatch(of: #/^\s+(?:repeated )?string (\w+) =/#) {
                found.insert("\(message).\(match.1)")
            }
        }
        return found
    }()

    private static func json(_ message: UnsafeRawPointer) -> [String: Any] {
        let descriptor = message.load(as: ProtobufCMessage.self).descriptor.pointee
        let name = String(cString: descriptor.short_name)
        var object: [String: Any] = [:]
        for index in 0..<Int(descriptor.n_fields) {
            let field = descriptor.fields[index]
            let key = String(cString: field.name)
            let place = message + Int(field.offset)
            if field.label == PROTOBUF_C_LABEL_REPEATED {
                let count = (message + Int(field.quantifier_offset)).load(as: Int.self)
                guard count > 0, let base = place.load(as: UnsafeRawPointer?.self) else { continue }
                object[key] = (0..<count).map { value(base + $0 * stride(field.type), field, "\(name).\(key)") }
            } else if field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0 {
                let chosen = (message + Int(field.quantifier_offset)).load(as: UInt32.self)
                if chosen == field.id { object[key] = value(place, field, "\(name).\(key)") }
            } else if !isDefault(place, field.type) {
                object[key] = value(place, field, "\(name).\(key)")
            }
        }
        return object
    }

    private static func stride(_ type: ProtobufCType) -> Int {
        switch type {
        case PROTOBUF_C_TYPE_MESSAGE: MemoryLayout<UnsafeRawPointer>.stride
        case PROTOBUF_C_TYPE_BYTES: MemoryLayout<ProtobufCBinaryData>.stride
        default: 8
        }
    }

    private static func isDefault(_ place: UnsafeRawPointer, _ type: ProtobufCType) -> Bool {
        switch type {
        case PROTOBUF_C_TYPE_MESSAGE: place.load(as: UnsafeRawPointer?.self) == nil
        case PROTOBUF_C_TYPE_BYTES: place.load(as: ProtobufCBinaryData.self).len == 0
        case PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_DOUBLE: place.load(as: UInt64.self) == 0
        default: place.load(as: UInt32.self) == 0
        }
    }

    private static func value(_ place: UnsafeRawPointer, _ field: ProtobufCFieldDescriptor, _ path: String) -> Any {
        switch field.type {
        case PROTOBUF_C_TYPE_MESSAGE: return place.load(as: UnsafeRawPointer?.self).map(json) ?? [:]
        case PROTOBUF_C_TYPE_BYTES:
            let data = place.load(as: ProtobufCBinaryData.self)
            let bytes = Array(UnsafeRawBufferPointer(start: data.data, count: data.data == nil ? 0 : data.len))
            return strings.contains(path) ? String(decoding: bytes, as: UTF8.self) : Data(bytes).base64EncodedString()
        case PROTOBUF_C_TYPE_UINT64: return String(place.load(as: UInt64.self))
        case PROTOBUF_C_TYPE_SINT64: return String(place.load(as: Int64.self))
        case PROTOBUF_C_TYPE_BOOL: return place.load(as: UInt32.self) != 0
        case PROTOBUF_C_TYPE_UINT32: return Double(place.load(as: UInt32.self))
        case PROTOBUF_C_TYPE_INT32: return Double(place.load(as: Int32.self))
        case PROTOBUF_C_TYPE_DOUBLE:
            let number = place.load(as: Double.self)
            return number.isInfinite ? (number > 0 ? "Infinity" : "-Infinity") : number
        case PROTOBUF_C_TYPE_ENUM:
            let number = place.load(as: Int32.self)
            let names = field.descriptor.assumingMemoryBound(to: ProtobufCEnumDescriptor.self).pointee
            for index in 0..<Int(names.n_values) where names.values[index].value == number {
                return String(cString: names.values[index].name)
            }
            return Double(number)
        default: return "a type that the schema did not have: \(field.type)"
        }
    }
}
