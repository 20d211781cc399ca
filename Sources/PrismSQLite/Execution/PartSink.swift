internal import CSQLite
internal import PrismWire

typealias OpaqueDestructor = sqlite3_destructor_type

/// Where the parts of a streamed answer go. Blocks while the client has not taken enough of them.
protocol PartSink {
    /// - Throws: when the request was cancelled meanwhile.
    func emit(_ body: UnsafeRawBufferPointer) throws(Failure)
}
