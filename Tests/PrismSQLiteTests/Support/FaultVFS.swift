import CFaultVFS

/// A VFS of this test's own that fails on command (CFaultVFS.h says what it can do).
final class FaultVFS: @unchecked Sendable {
    struct Kinds: OptionSet, Sendable {
        let rawValue: UInt32
        static let open = Kinds(PRISM_FAULT_OPEN)
        static let delete = Kinds(PRISM_FAULT_DELETE)
        static let access = Kinds(PRISM_FAULT_ACCESS)
        static let read = Kinds(PRISM_FAULT_READ)
        static let write = Kinds(PRISM_FAULT_WRITE)
        static let truncate = Kinds(PRISM_FAULT_TRUNCATE)
        static let sync = Kinds(PRISM_FAULT_SYNC)
        static let size = Kinds(PRISM_FAULT_SIZE)
        static let lock = Kinds(PRISM_FAULT_LOCK)
        static let sharedMap = Kinds(PRISM_FAULT_SHM_MAP)
        static let sharedLock = Kinds(PRISM_FAULT_SHM_LOCK)
        static let any = Kinds(PRISM_FAULT_ANY_KIND)

        init(rawValue: UInt32) { self.rawValue = rawValue }
        private init<C: BinaryInteger>(_ constant: C) { rawValue = UInt32(constant) }
    }

    struct Files: OptionSet, Sendable {
        let rawValue: UInt32
        static let database = Files(rawValue: 1)
        static let log = Files(rawValue: 2)
        static let any = Files(rawValue: 7)
    }

    enum Survivors: Sendable {
        case syncedOnly, everything
        /// Some of what was not synced, by a seed from 2; the last writes may be torn.
        case some(seed: UInt64)

        var choice: UInt64 {
            switch self {
            case .syncedOnly: 0
            case .everything: 1
            case .some(let seed): max(2, seed)
            }
        }
    }

    static let waitMillisecondsMax: Int32 = 30_000

    private let vfs: OpaquePointer

    init() {
        guard let vfs = prism_fault_create() else { preconditionFailure("no memory for a VFS") }
        self.vfs = vfs
    }

    deinit { prism_fault_destroy(vfs) }

    var name: String { String(cString: prism_fault_name(vfs)) }

    /// - Parameters:
    ///   - at: the first matching call that fails, counted from now.
    ///   - count: how many fail from there on; nil: all.
    ///   - code: nil: the I/O error that belongs to the kind of call.
    func fail(
        _ kinds: Kinds = .any, of files: Files = .any, at: UInt64 = 1, count: UInt64? = 1, code: Int32? = nil,
        tornBytes: Int = 0
    ) {
        prism_fault_set(
            vfs,
            prism_fault_plan(
                kinds: kinds.rawValue, files: files.rawValue, at: at, count: count ?? .max, code: code ?? 0,
                torn_bytes: Int32(tornBytes), holds: 0))
    }

    /// Calls from the `at`-th on wait until `clear()`.
    func hold(_ kinds: Kinds, of files: Files = .any, at: UInt64 = 1) {
        prism_fault_set(
            vfs,
            prism_fault_plan(
                kinds: kinds.rawValue, files: files.rawValue, at: at, count: .max, code: 0, torn_bytes: 0, holds: 1))
    }

    func clear() { prism_fault_clear(vfs) }

    /// Calls that failed or were held since the plan was set.
    var hits: UInt64 { prism_fault_hits(vfs) }
    func calls(_ kinds: Kinds = .any, of files: Files = .any) -> UInt64 {
        prism_fault_calls(vfs, kinds.rawValue, files.rawValue)
    }

    /// False: the safety net's time passed.
    func waitForHits(_ count: UInt64 = 1) -> Bool {
        prism_fault_wait_hits(vfs, count, Self.waitMillisecondsMax) == 0
    }

    /// Waits for so many calls since the VFS was made.
    func waitForCalls(_ kinds: Kinds, of files: Files = .any, count: UInt64) -> Bool {
        prism_fault_wait_calls(vfs, kinds.rawValue, files.rawValue, count, Self.waitMillisecondsMax) == 0
    }

    /// Bytes by which files may still grow; nil: any.
    func setDisk(bytesLeft: Int64?) { prism_fault_disk(vfs, bytesLeft ?? -1) }

    /// Databases open read-only from now on.
    func setReadOnly(_ isReadOnly: Bool) { prism_fault_read_only(vfs, isReadOnly ? 1 : 0) }

    /// Call it before the database is opened.
    func record(_ directory: TemporaryDirectory) { prism_fault_record(vfs, directory.database) }
    /// Operations recorded so far.
    var position: UInt64 { prism_fault_position(vfs) }

    /// The files as a power cut after `position` recorded operations could have left them.
    func makeCrashImage(at position: UInt64, _ survivors: Survivors, in directory: TemporaryDirectory) -> Bool {
        prism_fault_crash_image(vfs, position, survivors.choice, directory.path) == 0
    }
}
