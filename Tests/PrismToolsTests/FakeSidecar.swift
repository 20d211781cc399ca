import Glibc
import PrismWire

/// The other end of a socket pair, on a thread of its own: reads requests and answers what a closure says.
///
/// `@unchecked`: the thread is joined before anything is looked at.
final class FakeSidecar: @unchecked Sendable {
    typealias Answer = (RequestMessage) -> [[UInt8]]

    let clientDescriptor: Int32
    private let descriptor: Int32
    private let answer: Answer
    private var thread = pthread_t()

    /// - Parameter answer: frames to send for a request, as they go over the wire. An empty list closes the connection.
    init(_ answer: @escaping Answer) {
        var pair: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        clientDescriptor = pair[0]
        descriptor = pair[1]
        self.answer = answer
        let context = Unmanaged.passRetained(self).toOpaque()
        precondition(
            pthread_create(
                &thread, nil,
                { context in
                    if let context { Unmanaged<FakeSidecar>.fromOpaque(context).takeRetainedValue().serve() }
                    return nil
                }, context) == 0)
    }

    func join() { pthread_join(thread, nil) }

    private func serve() {
        defer { close(descriptor) }
        var incoming: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        let arena = Arena(limitBytes: 16 << 20)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count <= 0 { return }
            incoming += buffer[..<count]
            while case .frame(let length) = incoming.withUnsafeBytes({ Frame.scan($0, bytesMax: 16 << 20) }) {
                arena.reset()
                let frames = incoming.withUnsafeBytes { bytes -> [[UInt8]] in
                    let body = UnsafeRawBufferPointer(rebasing: bytes[4..<(4 + length)])
                    return RequestMessage(body, in: arena).map(answer) ?? []
                }
                incoming.removeFirst(4 + length)
                if frames.isEmpty { return }
                for frame in frames { _ = frame.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, 0x4000) } }
            }
        }
    }
}

/// Frames of answers.
enum AnswerFrame {
    static func final(_ id: UInt64, _ fill: (UnsafeMutablePointer<Prism__V1__Response>) -> Void) -> [UInt8] {
        frame(id, isPart: false, fill)
    }

    static func part(_ id: UInt64, _ fill: (UnsafeMutablePointer<Prism__V1__Response>) -> Void) -> [UInt8] {
        frame(id, isPart: true, fill)
    }

    static func failure(_ id: UInt64, _ failure: Failure) -> [UInt8] {
        var body = ByteQueue()
        ResponseBody.append(failure, to: &body)
        var frame = ByteQueue()
        ResponseFrame.appendFinal(id: id, body: body.bytes, cost: Cost(), to: &frame)
        return Array(frame.bytes)
    }

    private static func frame(
        _ id: UInt64, isPart: Bool, _ fill: (UnsafeMutablePointer<Prism__V1__Response>) -> Void
    ) -> [UInt8] {
        let arena = Arena(limitBytes: 1 << 20)
        guard let response = ResponseBody.make(in: arena) else { return [] }
        fill(response)
        var body = ByteQueue()
        ResponseBody.append(response, to: &body)
        var frame = ByteQueue()
        if isPart {
            ResponseFrame.appendPart(id: id, body: body.bytes, to: &frame)
        } else {
            ResponseFrame.appendFinal(id: id, body: body.bytes, cost: Cost(totalMicroseconds: 5), to: &frame)
        }
        return Array(frame.bytes)
    }
}
