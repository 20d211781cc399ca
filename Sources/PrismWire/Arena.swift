@_exported public import CPrismWire
internal import Glibc

/// Memory for one decoded request and the answer built from it: bumped, bounded, and given back all at once.
///
/// protobuf-c allocates through `allocator`; past the limit it is given NULL and the decode fails cleanly. Pointers borrow
/// the arena: whatever outlives the next `reset()` must be copied. Belongs to one thread.
public final class Arena {
    private let state: UnsafeMutablePointer<ArenaState>
    private let protobufAllocator: UnsafeMutablePointer<ProtobufCAllocator>

    /// - Parameters:
    ///   - limitBytes: most that may be handed out between two resets.
    ///   - firstBlockBytes: kept between resets; more is borrowed from `malloc` and returned by `reset()`.
    public init(limitBytes: Int, firstBlockBytes: Int = 64 << 10) {
        state = .allocate(capacity: 1)
        state.initialize(to: ArenaState(limitBytes: limitBytes, firstBlockBytes: firstBlockBytes))
        protobufAllocator = .allocate(capacity: 1)
        protobufAllocator.initialize(
            to: ProtobufCAllocator(
                alloc: { data, size in
                    data.flatMap { $0.assumingMemoryBound(to: ArenaState.self).pointee.allocate(size) }
                },
                free: { _, _ in },
                allocator_data: UnsafeMutableRawPointer(state)))
    }

    deinit {
        state.pointee.releaseAll()
        state.deinitialize(count: 1)
        state.deallocate()
        protobufAllocator.deallocate()
    }

    /// For protobuf-c's `unpack`; valid as long as the arena.
    public var allocator: UnsafeMutablePointer<ProtobufCAllocator> { protobufAllocator }

    /// Bytes handed out since the last reset.
    public var usedBytes: Int { state.pointee.usedBytes }

    /// Gives everything back. Pointers handed out so far are void.
    public func reset() { state.pointee.reset() }

    /// Whether the limit allows so many more.
    func hasRoom(for bytes: Int) -> Bool { state.pointee.hasRoom(for: bytes) }

    /// How much has been handed out by now; void after the next `reset()`.
    var mark: Mark { state.pointee.mark }

    /// Takes back what was handed out since.
    func rewind(to mark: Mark) { state.pointee.rewind(to: mark) }

    struct Mark {
        fileprivate let cursor: UnsafeMutableRawPointer
        fileprivate let usedBytes: Int
        fileprivate let borrowedBlocks: Int
    }

    /// Memory for `count` values, aligned to 16 bytes and not initialised; nil past the limit.
    public func allocate<T>(_ type: T.Type, count: Int = 1) -> UnsafeMutablePointer<T>? {
        let (bytes, overflow) = MemoryLayout<T>.stride.multipliedReportingOverflow(by: count)
        guard !overflow, count >= 0, let raw = state.pointee.allocate(bytes) else { return nil }
        return raw.bindMemory(to: type, capacity: count)
    }

    /// A copy of `bytes` that lives until the next reset; nil past the limit.
    public func copy(_ bytes: UnsafeRawBufferPointer) -> ProtobufCBinaryData? {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return ProtobufCBinaryData(len: 0, data: nil) }
        guard let target = allocate(UInt8.self, count: bytes.count) else { return nil }
        memcpy(target, source, bytes.count)
        return ProtobufCBinaryData(len: bytes.count, data: target)
    }

    /// The UTF-8 of `text`, for fields that are strings in the schema and bytes in the generated C; nil past the limit.
    public func copy(_ text: String) -> ProtobufCBinaryData? {
        var text = text
        return text.withUTF8 { copy(UnsafeRawBufferPointer($0)) }
    }
}

private struct ArenaState {
    private let limitBytes: Int
    private let first: UnsafeMutableRawPointer
    private let firstBlockBytes: Int
    private var cursor: UnsafeMutableRawPointer
    private var end: UnsafeMutableRawPointer
    private var borrowed: [UnsafeMutableRawPointer] = []
    private(set) var usedBytes = 0

    init(limitBytes: Int, firstBlockBytes: Int) {
        self.limitBytes = limitBytes
        self.firstBlockBytes = firstBlockBytes
        first = .allocate(byteCount: firstBlockBytes, alignment: 16)
        cursor = first
        end = first + firstBlockBytes
    }

    @inline(__always)
    mutating func allocate(_ bytes: Int) -> UnsafeMutableRawPointer? {
        guard bytes >= 0, hasRoom(for: bytes) else { return nil }
        let rounded = (bytes + 15) & ~15
        usedBytes += bytes
        guard rounded <= end - cursor else { return borrow(rounded) }
        defer { cursor += rounded }
        return cursor
    }

    @inline(never)
    private mutating func borrow(_ rounded: Int) -> UnsafeMutableRawPointer? {
        let blockBytes = max(rounded, firstBlockBytes)
        guard let block = malloc(blockBytes) else { return nil }
        borrowed.append(block)
        cursor = block + rounded
        end = block + blockBytes
        return block
    }

    func hasRoom(for bytes: Int) -> Bool { bytes <= limitBytes - usedBytes }

    var mark: Arena.Mark { Arena.Mark(cursor: cursor, usedBytes: usedBytes, borrowedBlocks: borrowed.count) }

    mutating func rewind(to mark: Arena.Mark) {
        usedBytes = mark.usedBytes
        // A block borrowed since stays until the reset.
        if borrowed.count == mark.borrowedBlocks { cursor = mark.cursor }
    }

    mutating func reset() {
        for block in borrowed { free(block) }
        if !borrowed.isEmpty { borrowed.removeAll(keepingCapacity: true) }
        cursor = first
        end = first + firstBlockBytes
        usedBytes = 0
    }

    mutating func releaseAll() {
        reset()
        first.deallocate()
    }
}
