import Testing

@testable import PrismCore

@Suite struct SavepointIdentifierTests {
    @Test("every name fits into an identifier, and different names give different ones")
    func namesAreToldApart() {
        var names = ["a", "A", "_", "a_"]
        for length in 1...64 {
            names.append(String(repeating: "x", count: length))
            names.append(String(repeating: "x", count: length - 1) + "y")
        }
        let identifiers = names.map(SavepointIdentifier.of)
        #expect(Set(identifiers).count == Set(names).count)
        #expect(identifiers.allSatisfy { $0.utf8.count <= 63 })
        #expect(SavepointIdentifier.of("before") == "prism_client_before")
    }
}
