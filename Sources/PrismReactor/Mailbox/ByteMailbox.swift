/// Flat byte records from many threads to one: no allocation per record, one lock per append and per drain.
///
/// Two buffers are swapped under the lock, so the consumer reads without holding it. Both keep their memory up to
/// `retainedBytes` and give back what a burst took beyond it. Records keep the order of each producer.
///
/// The waking rule: an append that answers `.becameNonEmpty` must be followed by `Reactor.wakeUp()` by its caller; any other
/// append needs none, since drain takes everything.
public final class ByteMailbox: @unchecked Sendable {
    /// Memory that an empty buffer keeps, unless told otherwise.
    public static let retainedBytesDefault = 256 * 1024

    /// The maximum of bytes waiting to be drained, 8 and up to 7 of padding for each record included.
    public let maximumBytes: Int

    /// Memory that each of the two buffers keeps when it is empty.
    public let retainedBytes: Int

    @usableFromInline let incoming: Locked<ByteWriter>

    /// The consumer's buffer; touched by `drain` only, which is why the class may call itself Sendable.
    private var outgoing: ByteWriter
    private var isDraining = false

    public init(maximumBytes: Int, retainedBytes: Int = ByteMailbox.retainedBytesDefault) {
        self.maximumBytes = maximumBytes
        self.retainedBytes = retainedBytes
        incoming = Locked(ByteWriter(maximumBytes: maximumBytes))
        outgoing = ByteWriter(maximumBytes: maximumBytes)
    }

    /// Appends one record. Any thread.
    ///
    /// - Parameters:
    ///   - mayExceedMaximum: takes the record above `maximumBytes` too: for who must not wait for the consumer, because it is the
    ///     consumer.
    ///   - write: writes the record's bytes. Runs under the lock: copy, do not compute, and do not touch this mailbox.
    @inlinable
    public func append(mayExceedMaximum: Bool = false, _ write: (inout ByteWriter) -> Void) -> MailboxAppend {
        incoming.withLock { writer in
            let offset = writer.begin(mayExceedMaximum: mayExceedMaximum)
            write(&writer)
            guard writer.end(offset) else { return .full }
            return offset == 0 ? .becameNonEmpty : .alreadyNonEmpty
        }
    }

    /// Hands every record that is there to `body`, in order. The consumer's thread only. Records appended meanwhile wait for the
    /// next drain; `body` may append.
    ///
    /// - Parameter body: gets the record's bytes, 8-byte aligned, valid during the call only.
    /// - Returns: the number of records.
    @discardableResult
    public func drain(_ body: (UnsafeRawBufferPointer) -> Void) -> Int {
        precondition(!isDraining, "ByteMailbox.drain belongs to one thread and is not reentrant")
        swapBuffers()
        guard outgoing.usedBytes > 0, let base = outgoing.base else { return 0 }
        isDraining = true
        var records = 0
        var offset = 0
        while offset < outgoing.usedBytes {
            let payloadBytes = Int(base.load(fromByteOffset: offset, as: UInt64.self))
            offset += ByteWriter.headerBytes
            body(UnsafeRawBufferPointer(start: base + offset, count: payloadBytes))
            offset += (payloadBytes + 7) & ~7
            records += 1
        }
        outgoing.reset(retainedBytes: retainedBytes)
        isDraining = false
        return records
    }

    /// Whether no record waits to be drained. Any thread.
    public var isEmpty: Bool { incoming.withLock { $0.usedBytes == 0 } }

    /// Memory held by both buffers, in bytes. The consumer's thread only.
    public var heldBytes: Int {
        outgoing.capacityBytes + incoming.withLock { $0.capacityBytes }
    }

    private func swapBuffers() {
        incoming.withLock { swap(&$0, &outgoing) }
    }
}
