import Foundation
import Testing

/// Full Foundation and its ICU make a stripped static binary of 60 MB out of one of 18 MB, and cost milliseconds at start.
/// Nothing imports it, but a dependency could begin to. FoundationEssentials comes with ArgumentParser and is small.
@Suite struct LinkageTests {
    static let product = "prism"

    /// The product beside this test bundle, and the release binary when there is one.
    static let binaries: [String] = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let beside = URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent(product).path
        let release = Repository.root.appendingPathComponent(".build/release/\(product)").path
        return [beside, release].filter { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    @Test("the prism binary does not link full Foundation", .enabled(if: Command.exists("ldd") && Command.exists("nm")))
    func fullFoundationIsNotLinked() throws {
        try #require(!Self.binaries.isEmpty, "no \(Self.product) beside the test bundle")
        for binary in Self.binaries {
            // Dynamic: everything that the loader would load, directly or not.
            let libraries = try Command.run("ldd", binary)
            #expect(libraries.output.contains("libc.so"), "ldd says nothing of \(binary): \(libraries.output)")
            for library in ["libFoundation.so", "libFoundationInternationalization.so", "lib_FoundationICU.so"] {
                #expect(!libraries.output.contains(library), "\(binary) loads \(library)")
            }
            // Static: the mangled name of the module Foundation, and ICU's data.
            let symbols = try Command.run("nm", "--defined-only", binary).output
            #expect(symbols.contains("$s9PrismWire"), "\(binary) has no symbols to judge by")
            for mark in ["$s10Foundation", "$s30FoundationInternationalization", "icudt"] {
                let line = symbols.range(of: mark).map { symbols[symbols.lineRange(for: $0)] }
                #expect(line == nil, "\(binary) contains full Foundation: \(line ?? "")")
            }
        }
    }
}
