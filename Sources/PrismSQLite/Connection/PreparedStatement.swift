internal import CSQLite
internal import PrismWire

/// One compiled statement of one connection; finalised with the last reference to it.
final class PreparedStatement {
    let handle: OpaquePointer
    let mode: Authorizer.Mode
    /// Changes nothing; EXPLAIN never does.
    let isReadOnly: Bool
    /// The first of SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE it does itself; 0: none.
    let firstWrite: Int32
    let shapesTable: Bool
    /// The command's word in upper case; empty for Prism's own.
    let tag: CommandTag
    let parameters: ParameterMap
    /// Leased to a request or a parked stream.
    var isInUse = false

    init(
        handle: OpaquePointer, mode: Authorizer.Mode, firstWrite: Int32 = 0, shapesTable: Bool = false,
        tag: CommandTag = .none, parameters: ParameterMap = .none
    ) {
        self.handle = handle
        self.mode = mode
        self.isReadOnly = sqlite3_stmt_readonly(handle) != 0 || sqlite3_stmt_isexplain(handle) != 0
        self.firstWrite = firstWrite
        self.shapesTable = shapesTable
        self.tag = tag
        self.parameters = parameters
    }

    deinit { sqlite3_finalize(handle) }

    // Binding. What is bound by `static` functions must live until the statement is reset.

    func bind(_ index: Int32, integer: Int64) { sqlite3_bind_int64(handle, index, integer) }

    /// 0 stands for NULL: an entry that does not expire.
    func bind(_ index: Int32, expiry: Int64) {
        if expiry == 0 { sqlite3_bind_null(handle, index) } else { sqlite3_bind_int64(handle, index, expiry) }
    }

    /// A blob; with a nil destructor it is not copied.
    @discardableResult
    func bind(_ index: Int32, blob: UnsafeRawBufferPointer, _ destructor: sqlite3_destructor_type? = nil) -> Int32 {
        // A NULL pointer would bind NULL.
        guard let base = blob.baseAddress, blob.count > 0 else { return sqlite3_bind_zeroblob(handle, index, 0) }
        return sqlite3_bind_blob64(handle, index, base, UInt64(blob.count), destructor)
    }

    @discardableResult
    func bind(_ index: Int32, text: UnsafeRawBufferPointer, _ destructor: sqlite3_destructor_type? = nil) -> Int32 {
        guard let base = text.baseAddress, text.count > 0 else { return prism_sqlite3_bind_empty_text(handle, index) }
        return sqlite3_bind_text64(
            handle, index, base.assumingMemoryBound(to: CChar.self), UInt64(text.count), destructor, UInt8(SQLITE_UTF8))
    }

    /// Borrowed from SQLite until the next step or reset.
    func blob(_ column: Int32) -> ProtobufCBinaryData {
        let base = sqlite3_column_blob(handle, column)
        let count = Int(sqlite3_column_bytes(handle, column))
        guard let base, count > 0 else { return ProtobufCBinaryData(len: 0, data: nil) }
        return ProtobufCBinaryData(
            len: count, data: UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: UInt8.self)))
    }

    /// A text as UTF-8, which `blob` of a text is not in a file that keeps it as UTF-16. Borrowed likewise; nil: no memory.
    func text(_ column: Int32) -> UnsafeRawBufferPointer? {
        guard let base = sqlite3_column_text(handle, column) else { return nil }
        return UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(handle, column)))
    }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    func reset() { sqlite3_reset(handle) }
}
