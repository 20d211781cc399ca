import Testing

@testable import PrismConfiguration

@Suite("Defaults")
struct DefaultsTests {
    @Test("An empty file is the defaults, served from one SQLite backend named main")
    func emptyFile() throws {
        for text in ["", "\n", "# nothing\n", "---\n", "limits:\nbackends:\n"] {
            let configuration = try Configuration.parse(yaml: Array(text.utf8), fileName: "prism.yaml")
            #expect(configuration.show(json: true) == Configuration.defaults.show(json: true))
        }
        let defaults = Configuration.defaults
        #expect(defaults.limits.frameBytes == 4 << 20)
        #expect(defaults.drain.afterSigtermNanoseconds == 1_500_000_000)
        #expect(defaults.socket.mode == 0o660)
        #expect(defaults.backends.map(\.name) == ["main"])
        #expect(defaults.defaultBackend.isDefault)
    }
}
