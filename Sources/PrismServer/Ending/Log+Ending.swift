internal import Glibc
internal import PrismCore

/// The lines of an ending, the same from wherever it is carried out.
extension Log {
    func signal(_ event: DrainMachine.Event) {
        let name = if case .interrupt = event { "SIGINT" } else { "SIGTERM" }
        self.info("signal", [("signal", .string(name))])
    }

    func state(_ machine: DrainMachine) {
        self.info("drain_state", [("state", .string(machine.state.name)), ("reason", .string(machine.reason))])
    }

    func report(_ report: DrainReport) {
        self.info("drain_report", report.fields.map { ($0.name, .integer(Int(clamping: $0.value))) })
    }
}

extension DrainMachine.Event {
    /// Of SIGTERM or SIGINT.
    init(_ signal: CInt) { self = signal == SIGINT ? .interrupt : .terminate }
}
