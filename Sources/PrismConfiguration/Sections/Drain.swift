extension Configuration {
    /// The budgets of ending.
    public struct Drain: Sendable, Equatable {
        public enum Mode: String, Sendable, CaseIterable {
            /// The clock starts at SIGTERM, which comes after the app has exited.
            case native
            /// The clock starts at `prism drain` or the first signal.
            case classic
        }

        public internal(set) var mode = Mode.native
        /// From SIGTERM to the exit (native); from the end of lame duck to the exit (classic).
        public internal(set) var afterSigtermNanoseconds: UInt64 = 0
        /// Classic: from the start of the drain to the exit.
        public internal(set) var totalNanoseconds: UInt64 = 0
        /// Classic: lame duck ends when no client has been connected for this long.
        public internal(set) var quietNanoseconds: UInt64 = 0
        /// Classic: lame duck lasts at least this long.
        public internal(set) var minimumNanoseconds: UInt64 = 0
        /// A copy of the manifest's; serves only the warnings at start-up.
        public internal(set) var gracePeriodNanoseconds: UInt64 = 0
        /// Exit code 3 if requests were cut.
        public internal(set) var strictExit = false
    }
}
