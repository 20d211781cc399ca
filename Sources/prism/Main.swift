import ArgumentParser
import Glibc
import PrismReactor
import PrismTools

/// Runs a command and turns whatever it throws into the documented exit codes.
@main
enum Main {
    static func main() {
        holdStandardDescriptors()
        holdSignals()
        do {
            var command = try Prism.parseAsRoot()
            try command.run()
            exit(0)
        } catch let error as ToolError {
            report(error)
            exit(error.exitCode)
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            exit(reportParserError(error))
        }
    }

    /// Without this the first sockets and files that are opened would take the places of a closed standard output or error, and
    /// get what is printed. Reading or writing the substitutes fails.
    private static func holdStandardDescriptors() {
        for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free descriptor, which is this one.
            _ = descriptor == 0 ? open("/dev/null", O_WRONLY) : open("/dev/null", O_RDONLY)
        }
    }

    /// A pod may be ending while its sidecar starts: what is said to `serve` before it can listen is heard when it can.
    private static func holdSignals() {
        guard CommandLine.arguments.dropFirst().first == "serve" else { return }
        _ = try? SignalSource.block([SIGTERM, SIGINT])
    }

    private static func report(_ error: ToolError) {
        let output = StandardOutput(descriptor: 2)
        if wantsJSON { output.write(ErrorText.json(error)) } else { output.write(ErrorText.human(error)) }
        output.flush()
    }

    /// Help and version end well; every other word of the parser's is a usage error: 2, not its own 64.
    private static func reportParserError(_ error: any Error) -> Int32 {
        let isSuccess = Prism.exitCode(for: error).isSuccess
        let output = StandardOutput(descriptor: isSuccess ? 1 : 2)
        if !isSuccess && wantsJSON {
            output.write(ErrorText.json(.usage(Prism.message(for: error))))
        } else {
            output.write(Prism.fullMessage(for: error) + "\n")
        }
        output.flush()
        return isSuccess ? 0 : 2
    }

    /// Errors follow the format asked for, also when the arguments could not be parsed.
    private static var wantsJSON: Bool {
        CommandLine.arguments.dropFirst().prefix { $0 != "--" }.contains("--json")
    }
}
