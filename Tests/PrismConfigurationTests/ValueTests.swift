import Testing

@testable import PrismConfiguration

@Suite("Values")
struct ValueTests {
    @Test(
        "Durations",
        arguments: [
            ("0", 0), ("00", 0), ("0s", 0), ("500us", 500_000), ("250ms", 250_000_000), ("5s", 5_000_000_000),
            ("1.5s", 1_500_000_000), ("0.000000001s", 1), ("0.001us", 1), ("10m", 600_000_000_000),
            ("1h", 3_600_000_000_000), ("0.5h", 1_800_000_000_000), ("5124095h", 18_446_742_000_000_000_000),
        ] as [(String, UInt64)])
    func durations(text: String, nanoseconds: UInt64) throws {
        #expect(try DurationText.parse(text) == nanoseconds)
        #expect(try DurationText.parse(DurationText.render(nanoseconds)) == nanoseconds)
    }

    @Test(
        "Not durations",
        arguments: [
            "", "5", "1.5", "0.0", "s", "5 s", "-5s", "+5s", "5S", "5sec", "1h30m", "1e3s", ".5s", "5.s",
            "1.0000000001s",
            "0.0001us", "5124096h", "99999999999999999999s", "٣s", "5s ", "1_000ms", "5d", "5µs",
        ])
    func notDurations(text: String) {
        #expect(throws: ValueProblem.self) { try DurationText.parse(text) }
    }

    @Test("A duration without a unit is refused with a hint")
    func durationHint() {
        #expect(
            errors("log:\n  slow_request: 25\n")
                == [
                    "prism.yaml:2: log.slow_request: \"25\" has no unit; "
                        + "write a number and us, ms, s, m or h, such as 250ms, 1.5s or 10m"
                ])
    }

    @Test(
        "Durations are shown in their usual form",
        arguments: [
            (0, "0"), (1, "0.001us"), (500_000, "500us"), (250_000_000, "250ms"), (1_500_000_000, "1.5s"),
            (90_000_000_000, "90s"), (1_000_000_000, "1s"), (60_000_000_000, "1m"), (86_400_000_000_000, "24h"),
            (1_234_567, "1.234567ms"),
        ] as [(UInt64, String)])
    func durationText(nanoseconds: UInt64, text: String) throws {
        let rendered = DurationText.render(nanoseconds)
        #expect(try DurationText.parse(rendered) == nanoseconds)
        if nanoseconds != 1_234_567 { #expect(rendered == text) }
    }

    @Test(
        "Sizes",
        arguments: [
            ("0", 0), ("1", 1), ("1024", 1_024), ("64KiB", 65_536), ("4MiB", 4_194_304), ("1GiB", 1_073_741_824),
        ])
    func sizes(text: String, bytes: Int) throws {
        #expect(try SizeText.parse(text) == bytes)
        #expect(try SizeText.parse(SizeText.render(bytes)) == bytes)
    }

    @Test(
        "Not sizes",
        arguments: [
            "", "4MB", "4M", "4mib", "4 MiB", "1.5MiB", "-1", "MiB", "4MiBx", "99999999999GiB",
            "9999999999999999999999",
            "0x10",
        ])
    func notSizes(text: String) {
        #expect(throws: ValueProblem.self) { try SizeText.parse(text) }
    }

    @Test("File modes are octal, quoted or not", arguments: ["0660", "660", "0o660", "\"0660\"", "'660'"])
    func modes(text: String) throws {
        #expect(try parse("socket:\n  mode: \(text)\n").socket.mode == 0o660)
    }

    @Test("Not file modes", arguments: ["0", "66", "0668", "1660", "rw-rw----", "07777", "-660", "0x1b0"])
    func notModes(text: String) {
        #expect(errors("socket:\n  mode: \(text)\n").count == 1)
    }

    @Test("Booleans are true and false only")
    func booleans() throws {
        #expect(try parse("drain:\n  strict_exit: true\n").drain.strictExit)
        for text in ["yes", "on", "1", "True", "TRUE"] {
            #expect(
                errors("drain:\n  strict_exit: \(text)\n")
                    == ["prism.yaml:2: drain.strict_exit: \"\(text)\" is not a boolean; use true or false"])
        }
    }

    @Test(
        "Whole numbers have digits only, and no leading zero",
        arguments: ["1_000", "0x10", "1e3", "010", "+5", "1.0", "--1", "٣"])
    func notIntegers(text: String) {
        #expect(
            errors("limits:\n  connections: \(text)\n")
                == [
                    "prism.yaml:2: limits.connections: \"\(text)\" is not a whole number; use 1–1000000, digits only"
                ])
    }

    @Test("A wrong choice is answered with the nearest one")
    func choices() {
        #expect(
            errors("log:\n  level: infos\n")
                == [
                    "prism.yaml:2: log.level: \"infos\" is not one of its values; "
                        + "did you mean info? use debug, info, warning or error"
                ])
        #expect(errors("drain:\n  mode: nativ\n")[0].contains("did you mean native?"))
    }

    @Test("Groups are names or gids")
    func groups() throws {
        #expect(try parse("socket:\n  group: www-data\n").socket.group == .name("www-data"))
        #expect(try parse("socket:\n  group: 1001\n").socket.group == .id(1_001))
        for text in ["4294967295", "99999999999", "\"\"", "a b", "a:b"] {
            #expect(errors("socket:\n  group: \(text)\n").count == 1)
        }
    }

    @Test("A TCP address is numeric and has a port")
    func addresses() throws {
        let address = try parse("admin:\n  tcp: 127.0.0.1:9901\n").admin.tcp
        #expect(address?.host == "127.0.0.1")
        #expect(address?.port == 9_901)
        #expect(try parse("admin:\n  tcp: \"[::1]:0\"\n").admin.tcp?.isIPv6 == true)
        for text in [
            "9901", "\":9901\"", "localhost:9901", "127.0.0.1", "127.0.0.1:65536", "\"127.0.0.1:\"", "\"::1:9901\"",
            "\"[::1]\"",
        ] {
            let found = errors("admin:\n  tcp: \(text)\n")
            #expect(found.count == 1)
            #expect(found[0].hasSuffix("write it as 127.0.0.1:9901, 0.0.0.0:9901 or [::]:9901"))
        }
    }

    @Test("A socket path that the kernel cannot take is refused")
    func socketPath() throws {
        let longest = "/" + String(repeating: "a", count: 106)
        #expect(try parse("socket:\n  path: \(longest)\n").socket.path == longest)
        let found = errors("socket:\n  path: \(longest)b\n")
        #expect(found.count == 1)
        #expect(found[0].contains("has 108 bytes, a Unix socket path at most 107; choose a shorter path"))
        #expect(errors("socket:\n  path: \"\"\n").count == 1)
        #expect(
            errors("socket:\n  path: \"/a\\0b\"\n") == [
                "prism.yaml:2: socket.path: \"/a\\0b\" contains control characters; remove them"
            ])
    }

    @Test("Every range holds at both its ends, and not one further")
    func ranges() {
        func check<Root>(_ setting: Setting<Root>) {
            func isAccepted(_ text: String) -> Bool {
                (try? setting.type.parse(text)) != nil
            }
            switch setting.type {
            case .integer(let range), .size(let range):
                #expect(isAccepted("\(range.lowerBound)") && isAccepted("\(range.upperBound)"), "\(setting.name)")
                #expect(
                    !isAccepted("\(range.lowerBound - 1)") && !isAccepted("\(range.upperBound + 1)"), "\(setting.name)")
            case .duration(let range):
                let microseconds = (range.lowerBound / 1_000, range.upperBound / 1_000)
                #expect(isAccepted("\(microseconds.0)us") && isAccepted("\(microseconds.1)us"), "\(setting.name)")
                #expect(!isAccepted("\(microseconds.1 + 1)us"), "\(setting.name)")
                if microseconds.0 > 0 { #expect(!isAccepted("\(microseconds.0 - 1)us"), "\(setting.name)") }
            case .boolean, .mode, .choice, .text, .list: break
            }
        }
        SettingsTable.global.forEach(check)
        (SettingsTable.backend + SettingsTable.sqlite + SettingsTable.postgresql).forEach(check)
        SettingsTable.rule.forEach(check)
    }

    @Test("A value out of range is answered with the range, and why where that is not plain")
    func outOfRange() {
        #expect(
            errors("limits:\n  frame_bytes: 65MiB\n")
                == ["prism.yaml:2: limits.frame_bytes: \"65MiB\" is out of range; use 64KiB–64MiB"])
        #expect(
            errors("drain:\n  after_sigterm: 1s\n")
                == [
                    "prism.yaml:2: drain.after_sigterm: \"1s\" is out of range (draining ends 600 ms before the exit); use 1.2s–1h"
                ])
    }
}
