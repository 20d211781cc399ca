internal import Glibc

/// Writes the bytes of one record into a `ByteMailbox`. Only valid inside the closure that it is passed to.
///
/// A write that does not fit the mailbox's maximum is dropped and the whole record with it; `append` then answers `.full`.
public struct ByteWriter: ~Copyable, @unchecked Sendable {
    /// A record starts with its length, in a field that keeps the payload 8-byte aligned.
    @usableFromInline static var headerBytes: Int { 8 }

    private static let firstCapacityBytes = 4096

    @usableFromInline var base: UnsafeMutableRawPointer?
    @usableFromInline var usedBytes = 0
    @usableFromInline var capacityBytes = 0
    @usableFromInline var overflowed = false
    @usableFromInline let maximumBytes: Int
    @usableFromInline var mayExceedMaximum = false

    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    deinit {
        free(base)
    }

    /// Writes a plain value in native byte order, unaligned.
    @inlinable
    public mutating func write<Value: BitwiseCopyable>(_ value: Value) {
        guard let target = advance(MemoryLayout<Value>.size) else { return }
        target.storeBytes(of: value, as: Value.self)
    }

    /// Copies bytes.
    @inlinable
    public mutating func write(bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, let target = advance(bytes.count) else { return }
        target.copyMemory(from: source, byteCount: bytes.count)
    }

    /// Lets an encoder write in place. The closure must fill all of `count` bytes; it is not called when they do not fit.
    @inlinable
    public mutating func write(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        guard count > 0, let target = advance(count) else { return }
        fill(UnsafeMutableRawBufferPointer(start: target, count: count))
    }

    // MARK: For the mailbox

    /// Reserves the header. Returns the record's offset, to be given to `end`.
    @inlinable
    mutating func begin(mayExceedMaximum: Bool) -> Int {
        let offset = usedBytes
        self.mayExceedMaximum = mayExceedMaximum
        overflowed = false
        _ = advance(Self.headerBytes)
        return offset
    }

    /// Completes the record that started at `offset`, or takes it back. Returns whether it is in.
    @inlinable
    mutating func end(_ offset: Int) -> Bool {
        let payloadBytes = usedBytes - offset - Self.headerBytes
        if !overflowed { _ = advance(-payloadBytes & 7) }
        guard !overflowed, let base else {
            usedBytes = offset
            return false
        }
        base.storeBytes(of: UInt64(payloadBytes), toByteOffset: offset, as: UInt64.self)
        return true
    }

    @inlinable
    mutating func advance(_ count: Int) -> UnsafeMutableRawPointer? {
        if count > capacityBytes - usedBytes || overflowed {
            grow(by: count)
        }
        guard !overflowed, let base else { return nil }
        let target = base + usedBytes
        usedBytes += count
        return target
    }

    @usableFromInline mutating func grow(by count: Int) {
        let limitBytes = mayExceedMaximum ? Int.max : maximumBytes
        guard !overflowed, count <= limitBytes - usedBytes else {
            overflowed = true
            return
        }
        let needed = usedBytes + count
        let doubled = max(Self.firstCapacityBytes, capacityBytes < maximumBytes / 2 ? capacityBytes * 2 : maximumBytes)
        let capacity = max(needed, min(doubled, maximumBytes))
        guard let grown = realloc(base, capacity) else {
            overflowed = true
            return
        }
        base = grown
        capacityBytes = capacity
    }

    /// Forgets the records; gives memory back if a burst had made the buffer larger than `retainedBytes`.
    mutating func reset(retainedBytes: Int) {
        usedBytes = 0
        overflowed = false
        guard capacityBytes > retainedBytes else { return }
        free(base)
        base = nil
        capacityBytes = 0
    }
}
