internal import Glibc

/// Bytes written at the end and consumed at the front; memory only while there are bytes, unless told to keep some.
public struct ByteQueue: ~Copyable {
    private var storage: UnsafeMutableRawPointer?
    private var capacity = 0
    private var head = 0
    private var tail = 0

    public init() {}

    deinit { free(storage) }

    public var count: Int { tail - head }
    public var isEmpty: Bool { tail == head }

    /// The bytes in the queue, valid until it is changed.
    public var bytes: UnsafeRawBufferPointer {
        guard let storage, tail > head else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: storage + head, count: tail - head)
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        memcpy(reserve(bytes.count), source, bytes.count)
        tail += bytes.count
    }

    /// Makes room for `bytes` more in one step, where growing as they come would copy them again and again.
    public mutating func makeRoom(for bytes: Int) {
        guard bytes > 0 else { return }
        _ = reserve(bytes, exactly: true)
    }

    public mutating func append(byte: UInt8) {
        reserve(1).storeBytes(of: byte, as: UInt8.self)
        tail += 1
    }

    /// Appends up to `maximum` bytes that `write` puts at the pointer; `write` returns how many.
    public mutating func append(upTo maximum: Int, _ write: (UnsafeMutableRawPointer) -> Int) {
        let written = write(reserve(maximum))
        precondition(written >= 0 && written <= maximum, "a writer passed the end of its reservation")
        tail += written
    }

    /// Overwrites bytes written before; `offset` counts from the front of the queue.
    public mutating func overwrite(at offset: Int, bigEndian value: UInt32) {
        precondition(offset >= 0 && offset + 4 <= count, "overwrite outside of the queue")
        storage?.storeBytes(of: value.bigEndian, toByteOffset: head + offset, as: UInt32.self)
    }

    /// Replaces `count` bytes at `offset` from the front by as many as `newCount`, which `write` fills; what is behind them moves.
    public mutating func replace(
        _ count: Int, at offset: Int, with newCount: Int, _ write: (UnsafeMutableRawPointer) -> Void
    ) {
        precondition(
            count >= 0 && newCount >= 0 && offset >= 0 && offset + count <= self.count, "replaced outside of the queue")
        if newCount > count { _ = reserve(newCount - count) }
        guard let storage else { return }
        let place = storage + head + offset
        if newCount != count { memmove(place + newCount, place + count, self.count - offset - count) }
        tail += newCount - count
        write(place)
    }

    /// Drops bytes from the end.
    public mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= self.count, "truncated to more than there is")
        tail = head + count
    }

    /// Drops bytes from the front.
    ///
    /// - Parameter maximum: of memory that is kept when the queue is empty, bytes.
    public mutating func consume(_ count: Int, keepingUpTo maximum: Int = 0) {
        precondition(count >= 0 && count <= self.count, "more consumed than there is")
        head += count
        if head == tail { return removeAll(keepingUpTo: maximum) }
        // Few bytes must not keep the memory of many: it is not counted anywhere.
        if capacity > Self.sparseBytesMax, self.count < capacity / 4 { shrink() }
    }

    private static let sparseBytesMax = 64 << 10

    private mutating func shrink() {
        let used = count
        guard let storage, let small = malloc(used) else { return }
        memcpy(small, storage + head, used)
        free(storage)
        self.storage = small
        capacity = used
        head = 0
        tail = used
    }

    /// Empties the queue and gives its memory back.
    public mutating func removeAll() {
        free(storage)
        storage = nil
        capacity = 0
        head = 0
        tail = 0
    }

    /// Empties the queue; keeps the memory unless it is above `maximum` bytes. For scratch buffers.
    public mutating func removeAll(keepingUpTo maximum: Int) {
        if capacity > maximum { return removeAll() }
        head = 0
        tail = 0
    }

    private mutating func reserve(_ more: Int, exactly: Bool = false) -> UnsafeMutableRawPointer {
        if let storage, tail + more <= capacity { return storage + tail }
        let used = count
        if head > 0, let storage, used + more <= capacity, head >= used {
            memmove(storage, storage + head, used)
        } else {
            let wanted =
                exactly
                ? used + more : max(256, used + more, capacity >= (1 << 20) ? capacity + capacity / 2 : capacity * 2)
            guard let grown = malloc(wanted) else { preconditionFailure("out of memory for \(wanted) bytes") }
            if let storage, used > 0 { memcpy(grown, storage + head, used) }
            free(storage)
            storage = grown
            capacity = wanted
        }
        head = 0
        tail = used
        guard let storage else { preconditionFailure("a reservation without storage") }
        return storage + tail
    }
}
