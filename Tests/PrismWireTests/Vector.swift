import Foundation
import PrismWire

/// One of the byte-level vectors of Tests/Vectors: what goes over the socket, and how it reads.
struct Vector {
    let name: String
    let bytes: [UInt8]
    private let reading: [String: Any]

    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Vectors")

    static func all(_ groups: String...) -> [Vector] {
        groups.flatMap { group -> [Vector] in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path + "/\(group)")) ?? []
            return names.filter { $0.hasSuffix(".bin") }.sorted().compactMap { Vector("\(group)/\($0.dropLast(4))") }
        }
    }

    private init?(_ name: String) {
        let path = Self.folder.appendingPathComponent(name).path
        guard let bytes = FileManager.default.contents(atPath: path + ".bin"),
            let text = FileManager.default.contents(atPath: path + ".json"),
            let reading = try? JSONSerialization.jsonObject(with: text) as? [String: Any]
        else { return nil }
        self.name = name
        self.bytes = Array(bytes)
        self.reading = reading
    }

    /// Nil where JSON cannot say how it reads.
    var messages: [String]? { (reading["messages"] as? [Any])?.map(canonical) }
    var ends: String? { reading["ends"] as? String }
    var isResponse: Bool { reading["direction"] as? String == "response" }

    var limits: WireLimits {
        var limits = WireLimits()
        let given = reading["limits"] as? [String: Int] ?? [:]
        limits.frameBytesMax = given["frame_bytes"] ?? limits.frameBytesMax
        limits.decodeBytesMax = given["decode_bytes"] ?? limits.decodeBytesMax
        limits.valueBytesMax = given["value_bytes"] ?? limits.valueBytesMax
        return limits
    }

    /// The status that validation must refuse a request with, and the item; nil: it must let it through.
    func refusal(of id: UInt64) -> (status: String, item: UInt32)? {
        let answers = reading["answers"] as? [[String: Any]] ?? []
        guard let answer = answers.first(where: { $0["id"] as? String == String(id) }),
            answer["stage"] as? String == "STAGE_DECODE"
        else { return nil }
        return (answer["status"] as? String ?? "", UInt32(answer["item"] as? Int ?? 0))
    }
}

/// JSON as one line with sorted keys, for comparison.
func canonical(_ json: Any) -> String {
    switch json {
    case let object as [String: Any]:
        "{" + object.sorted { $0.key < $1.key }.map { "\($0.key):\(canonical($0.value))" }.joined(separator: ",") + "}"
    case let array as [Any]: "[" + array.map(canonical).joined(separator: ",") + "]"
    case let text as String: "\"\(text)\""
    case let number as NSNumber where String(cString: number.objCType) == "c": number.boolValue ? "true" : "false"
    case let number as NSNumber: "\(number.doubleValue)"
    default: "\(json)"
    }
}
