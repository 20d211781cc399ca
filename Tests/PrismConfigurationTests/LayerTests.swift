import Testing

@testable import PrismConfiguration

@Suite("Layers")
struct LayerTests {
    @Test("An empty file is the defaults, served from one SQLite backend named main")
    func emptyFile() throws {
        for text in ["", "\n", "# nothing\n", "---\n", "limits:\nbackends:\nrules:\n", "\u{FEFF}limits:\n"] {
            #expect(try parse(text).show(json: true) == Configuration.defaults.show(json: true))
        }
        let defaults = Configuration.defaults
        #expect(defaults.limits.frameBytes == 4 << 20)
        #expect(defaults.drain.afterSigtermNanoseconds == 1_500_000_000)
        #expect(defaults.socket.mode == 0o660)
        #expect(defaults.admin.mode == 0o600)
        #expect(defaults.backends.map(\.name) == ["main"])
        #expect(defaults.defaultBackend.isDefault)
        #expect(defaults.warnings.isEmpty)
    }

    @Test("A flag wins over a variable, a variable over the file, the file over the default; each origin is kept")
    func precedence() throws {
        let yaml = "socket:\n  path: /file\n"
        let environment = ["PRISM_SOCKET_PATH": "/variable"]
        let overrides = Overrides(socket: "/flag")

        let none = try load()
        #expect(none.socket.path == nil)
        #expect(none.origin(of: "socket.path") == .default)
        let file = try load(yaml)
        #expect(file.socket.path == "/file")
        #expect(file.origin(of: "socket.path") == .file("prism.yaml", line: 2))
        let variable = try load(yaml, environment: environment)
        #expect(variable.socket.path == "/variable")
        #expect(variable.origin(of: "socket.path") == .environment("PRISM_SOCKET_PATH"))
        let flag = try load(yaml, environment: environment, overrides: overrides)
        #expect(flag.socket.path == "/flag")
        #expect(flag.origin(of: "socket.path") == .flag("--socket"))
    }

    @Test("Every setting can be set by its variable, and says so")
    func everyVariable() throws {
        for setting in SettingsTable.global {
            let text: String
            switch setting.name {
            case "socket.path", "admin.socket": text = "/tmp/x.sock"
            case "socket.group", "admin.group": text = "staff"
            case "admin.tcp": text = "127.0.0.1:9901"
            case "readiness.backends": text = "main"
            default: text = try #require(setting.defaultValue.text)
            }
            let configuration = try load(environment: [setting.environmentName: text])
            #expect(configuration.origin(of: setting.name) == .environment(setting.environmentName))
        }
    }

    @Test("PRISM_SOCKET and PRISM_ADMIN_SOCKET name the sockets, as for every command")
    func socketVariables() throws {
        let configuration = try load(environment: ["PRISM_SOCKET": "/a", "PRISM_ADMIN_SOCKET": "/b"])
        #expect(configuration.socket.path == "/a")
        #expect(configuration.admin.socket == "/b")
        #expect(configuration.origin(of: "socket.path") == .environment("PRISM_SOCKET"))
        #expect(errors(environment: ["PRISM_SOCKET": "/a", "PRISM_SOCKET_PATH": "/a"]).isEmpty)
        #expect(
            errors(environment: ["PRISM_SOCKET": "/a", "PRISM_SOCKET_PATH": "/b"])
                == ["PRISM_SOCKET_PATH: PRISM_SOCKET says otherwise; set one of the two"])
    }

    @Test("An empty variable counts as not set")
    func emptyVariable() throws {
        #expect(try load(environment: ["PRISM_LOG_LEVEL": "", "PRISM_SOCKET": ""]).log.level == .info)
    }

    @Test("Variables take lists with commas, and the same kinds of value as the file")
    func variableValues() throws {
        let yaml =
            "backends:\n  - {name: a, kind: sqlite, path: /a, default: true}\n  - {name: b, kind: sqlite, path: /b}\n"
        let configuration = try load(
            yaml,
            environment: [
                "PRISM_READINESS_BACKENDS": "a, b", "PRISM_LIMITS_FRAME_BYTES": "2MiB", "PRISM_DRAIN_TOTAL": "10s",
                "PRISM_SOCKET_MODE": "0666", "PRISM_DRAIN_MODE": "classic", "PRISM_DRAIN_STRICT_EXIT": "true",
            ])
        #expect(configuration.readiness.backends == ["a", "b"])
        #expect(configuration.limits.frameBytes == 2 << 20)
        #expect(configuration.drain.totalNanoseconds == 10_000_000_000)
        #expect(configuration.drain.mode == .classic)
        #expect(configuration.drain.strictExit)
        #expect(configuration.socket.mode == 0o666)
    }

    @Test("A misspelt variable is an error with the nearest name; other programs' and Kubernetes' own are left alone")
    func unknownVariables() throws {
        #expect(
            errors(environment: ["PRISM_LIMITS_FRAME_BYTE": "1"])
                == ["PRISM_LIMITS_FRAME_BYTE: unknown setting; did you mean PRISM_LIMITS_FRAME_BYTES?"])
        #expect(
            errors(environment: ["PRISM_LOG_SOMETHING_ELSE": "1"])
                == [
                    "PRISM_LOG_SOMETHING_ELSE: unknown setting; log has PRISM_LOG_FORMAT, PRISM_LOG_LEVEL, PRISM_LOG_SLOW_REQUEST"
                ])
        #expect(
            errors(environment: ["PRISM_BACKENDS_MAIN_PATH": "/x"])
                == [
                    "PRISM_BACKENDS_MAIN_PATH: backends cannot be set by a variable; use the file, --sqlite or --postgres"
                ])
        let configuration = try load(
            environment: [
                "PRISM_SERVICE_HOST": "10.0.0.1", "PRISM_SERVICE_PORT": "80", "PRISM_SERVICE_PORT_HTTP": "80",
                "PRISM_PORT": "tcp://10.0.0.1:80", "PRISM_PORT_80_TCP": "tcp://10.0.0.1:80",
                "PRISM_PORT_80_TCP_ADDR": "10.0.0.1", "PRISM_ADMIN_PORT": "tcp://10.0.0.1:80",
                "PRISM_LOG_SERVICE_HOST": "10.0.0.1", "PATH": "/bin",
            ])
        #expect(configuration.warnings.isEmpty)
        #expect(
            try load(environment: ["PRISM_OF_NEWTON": "glass"]).warnings
                == ["PRISM_OF_NEWTON is set in the environment, but is no setting"])
    }

    @Test("--sqlite and --postgres replace all backends by one named main")
    func backendFlags() throws {
        let yaml =
            "backends:\n  - {name: a, kind: sqlite, path: /a, default: true}\n  - {name: b, kind: sqlite, path: /b}\n"
        let sqlite = try load(yaml, overrides: Overrides(sqlite: "/c.db"))
        #expect(sqlite.backends.map(\.name) == ["main"])
        guard case .sqlite(let settings) = sqlite.defaultBackend.engine else {
            Issue.record("not SQLite")
            return
        }
        #expect(settings.path == "/c.db")
        #expect(settings.readers == 4)
        #expect(sqlite.origin(of: "backends.main.path") == .flag("--sqlite"))
        #expect(sqlite.origin(of: "backends.a.path") == .default)

        let postgres = try load(overrides: Overrides(postgres: "host=db user=app"))
        guard case .postgresql(let settings) = postgres.defaultBackend.engine else {
            Issue.record("not PostgreSQL")
            return
        }
        #expect(settings.conninfo == "host=db user=app")
        #expect(
            errors(overrides: Overrides(sqlite: "/a", postgres: ""))
                == ["--postgres: --sqlite is given too; give one of them, or use a file for both"])
        #expect(
            errors(overrides: Overrides(sqlite: ":memory:")).first?.hasPrefix(
                "--sqlite: \":memory:\" is not the path of a file; give a plain path") == true)
    }

    @Test("Errors of all layers come together: the file from top to bottom, then variables, then flags")
    func allErrors() {
        let found = errors(
            "limits:\n  frame_bytes: x\nlog:\n  level: loud\nlimits: {}\n", environment: ["PRISM_DRAIN_TOTAL": "25"],
            overrides: Overrides(socket: ""))
        #expect(
            found.map { String($0.prefix { $0 != " " }) }
                == ["prism.yaml:2:", "prism.yaml:4:", "prism.yaml:5:", "PRISM_DRAIN_TOTAL:", "--socket:"])
    }

    @Test("A file that cannot be read is an error with its path, beside the errors of the other layers")
    func unreadableFile() {
        for (path, words) in [("/nonexistent/prism.yaml", "No such file"), ("/", "directory")] {
            do throws(ConfigurationErrors) {
                _ = try Configuration.load(
                    file: path, environment: ["PRISM_LOG_LEVEL": "x"], overrides: Overrides())
                Issue.record("accepted \(path)")
            } catch {
                #expect(error.errors.count == 2)
                #expect(error.errors[0].description.hasPrefix("\(path): "))
                #expect(error.errors[0].message.contains(words))
            }
        }
    }

    @Test("A file is loaded from disk")
    func file() throws {
        let configuration = try Configuration.load(
            file: Repository.root + "/prism.yaml", environment: [:], overrides: Overrides())
        #expect(configuration.origin(of: "limits.frame_bytes").layer == "file")
        #expect(throws: ConfigurationErrors.self) {
            try Configuration.load(file: "/dev/zero", environment: [:], overrides: Overrides())
        }
    }

    @Test("a stream's window is never more than its connection's buffer, at which the stream would end")
    func window() throws {
        #expect(try load().limits.streamWindow == 256 << 10)
        let small = try load(environment: ["PRISM_LIMITS_STREAM_WINDOW": "64MiB"])
        #expect(small.limits.streamWindow == 8 << 20)
    }
}
