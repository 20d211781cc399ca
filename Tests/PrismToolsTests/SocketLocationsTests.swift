import PrismTools
import Testing

/// CONTRACT 7: where the sockets are when nobody says so.
@Suite struct SocketLocationsTests {
    struct Table: FileSystemProbe {
        var entries: [String: FileSystemEntry] = [:]
        func entry(_ path: String) -> FileSystemEntry { entries[path] ?? .missing }
    }

    static let writable = FileSystemEntry.directory(isWritable: true, owner: 1000)
    static let foreign = FileSystemEntry.directory(isWritable: false, owner: 0)
    static let openToAll = FileSystemEntry.directory(isWritable: true, owner: 0)

    func locations(
        _ entries: [String: FileSystemEntry] = [:], environment: [String: String] = [:]
    ) -> SocketLocations<Table> {
        SocketLocations(environment: { environment[$0] }, userID: 1000, probe: Table(entries: entries))
    }

    @Test func theServerTakesRunWhereItMayWriteThere() {
        #expect(locations(["/run/prism": Self.writable]).serverDataSocket(option: nil) == "/run/prism/prism.sock")
    }

    @Test func theServerTakesRunWhereItMayCreateTheDirectory() {
        #expect(locations(["/run": Self.openToAll]).serverDataSocket(option: nil) == "/run/prism/prism.sock")
    }

    @Test func theServerPrefersTheRuntimeDirectoryToTmp() {
        let entries = ["/run": Self.foreign, "/run/user/1000": Self.writable, "/tmp": Self.openToAll]
        let environment = ["XDG_RUNTIME_DIR": "/run/user/1000"]
        #expect(
            locations(entries, environment: environment).serverDataSocket(option: nil)
                == "/run/user/1000/prism/prism.sock")
        #expect(locations(entries).serverDataSocket(option: nil) == "/tmp/prism-1000/prism.sock")
    }

    @Test func aRelativeRuntimeDirectoryIsIgnored() {
        let locations = locations(
            ["run": Self.writable, "/tmp": Self.openToAll], environment: ["XDG_RUNTIME_DIR": "run"])
        #expect(locations.defaults == ["/run/prism/prism.sock", "/tmp/prism-1000/prism.sock"])
    }

    @Test func anExistingDirectoryThatCannotBeWrittenIsPassedOver() {
        let entries = ["/run": Self.openToAll, "/run/prism": Self.foreign, "/tmp": Self.openToAll]
        #expect(locations(entries).serverDataSocket(option: nil) == "/tmp/prism-1000/prism.sock")
    }

    @Test func aDirectoryInTmpThatSomebodyElseMadeIsNotUsed() {
        let entries = [
            "/tmp": Self.openToAll, "/tmp/prism-1000": .directory(isWritable: true, owner: 666),
            "/tmp/prism-1000/prism.sock": .socket,
        ]
        #expect(locations(entries).serverDataSocket(option: nil) == nil)
        #expect(locations(entries).commandDataSocket(option: nil) == nil)
    }

    @Test func optionThenVariableThenConfigurationThenDefaults() {
        let environment = ["PRISM_SOCKET": "/variable"]
        let entries = ["/run/prism": Self.writable]
        #expect(locations(entries, environment: environment).serverDataSocket(option: "/option") == "/option")
        #expect(
            locations(entries, environment: environment).serverDataSocket(option: nil, configured: "/file")
                == "/variable")
        #expect(locations(entries).serverDataSocket(option: nil, configured: "/file") == "/file")
        #expect(locations(entries, environment: environment).commandDataSocket(option: nil) == "/variable")
    }

    @Test func anEmptyVariableCountsAsNotSet() {
        let locations = locations(["/run/prism": Self.writable], environment: ["PRISM_SOCKET": ""])
        #expect(locations.serverDataSocket(option: nil) == "/run/prism/prism.sock")
    }

    @Test func commandsTakeTheFirstSocketThatExists() {
        let entries = [
            "/run/prism": Self.writable, "/tmp/prism-1000": Self.writable, "/tmp/prism-1000/prism.sock": .socket,
        ]
        #expect(locations(entries).commandDataSocket(option: nil) == "/tmp/prism-1000/prism.sock")
    }

    @Test func aFileIsNoSocket() {
        let entries = ["/run/prism": Self.writable, "/run/prism/prism.sock": FileSystemEntry.other]
        #expect(locations(entries).commandDataSocket(option: nil) == nil)
    }

    @Test func theAdminSocketStandsBesideTheDataSocket() {
        let none = locations()
        #expect(none.serverAdminSocket(option: nil, dataSocket: "/a/b.sock") == "/a/admin.sock")
        #expect(none.serverAdminSocket(option: nil, dataSocket: "b.sock") == "./admin.sock")
        #expect(none.serverAdminSocket(option: nil, dataSocket: "/b.sock") == "/admin.sock")
        #expect(none.serverAdminSocket(option: nil, configured: "/c", dataSocket: "/a/b.sock") == "/c")
        #expect(none.commandAdminSocket(option: nil, dataSocketOption: "/a/b.sock") == "/a/admin.sock")
    }

    @Test func adminCommandsFindTheAdminSocketWhenTheDataSocketIsGone() {
        let entries = ["/run/prism": Self.writable, "/run/prism/admin.sock": FileSystemEntry.socket]
        #expect(locations(entries).commandAdminSocket(option: nil, dataSocketOption: nil) == "/run/prism/admin.sock")
    }

    @Test func theAdminVariableWinsOverTheDataSocketsOption() {
        let locations = locations(environment: ["PRISM_ADMIN_SOCKET": "/admin", "PRISM_SOCKET": "/data"])
        #expect(locations.commandAdminSocket(option: nil, dataSocketOption: "/a/b") == "/admin")
        #expect(locations.commandAdminSocket(option: "/option", dataSocketOption: nil) == "/option")
    }
}
