import PrismCore
import Testing

@testable import PrismAdmin

/// Which request gets which answer, without a socket.
@Suite struct RouteTests {
    let source = FakeSource()

    func respond(_ method: String, _ target: String, over transport: AdminTransport = .unixSocket) async
        -> AdminResponse
    {
        await AdminRoutes(source: source).respond(
            to: AdminRequest(method: method, target: target, transport: transport))
    }

    @Test("every page answers GET, and HEAD without the body")
    func pages() async {
        let pages: [(String, AdminResponse.ContentType)] = [
            ("/startupz", .text), ("/readyz", .text), ("/livez", .text), ("/metrics", .metrics), ("/status", .json),
            ("/", .html),
        ]
        for (path, type) in pages {
            let got = await respond("GET", path)
            #expect(got.status == 200 && got.contentType == type && !got.body.isEmpty && !got.omitsBody, "\(path)")
            let head = await respond("HEAD", path)
            #expect(head.status == 200 && head.omitsBody && head.body == got.body, "\(path)")
        }
    }

    @Test("other methods get 405 with what is allowed; unknown paths 404")
    func methodsAndPaths() async {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let answer = await respond(method, "/status")
            #expect(answer.status == 405 && answer.allow == "GET, HEAD")
        }
        for method in ["GET", "HEAD", "PUT"] {
            let answer = await respond(method, "/drain")
            #expect(answer.status == 405 && answer.allow == "POST")
        }
        for path in ["/nothing", "", "//", "/status/", "/../status", "/STATUS", "*"] {
            let answer = await respond("GET", path)
            #expect(answer.status == 404, "\(path)")
        }
        #expect(source.drains.isEmpty)
    }

    @Test("a target in absolute form, and one with a query, name the same page")
    func targets() async {
        for target in ["http://prism/status", "/status?pretty=1", "/status?", "http://prism/status?a=b&c"] {
            let answer = await respond("GET", target)
            #expect(answer.contentType == .json, "\(target)")
        }
        let page = await respond("GET", "http://prism")
        #expect(page.contentType == .html)
    }

    @Test("POST /drain begins the ending; with wait it says so; other values and TCP are refused")
    func drain() async {
        let now = await respond("POST", "/drain")
        #expect(now.status == 200 && now.body == "{\"accepted\":true,\"state\":\"LAME_DUCK\"}\n")
        _ = await respond("POST", "/drain?wait=false")
        _ = await respond("POST", "/drain?wait=true")
        #expect(source.drains == [false, false, true])
        let odd = await respond("POST", "/drain?wait=yes")
        #expect(odd.status == 400)
        let tcp = await respond("POST", "/drain", over: .tcp)
        #expect(tcp.status == 403 && tcp.body.contains("prism drain"))
        #expect(source.drains.count == 3)
        source.change { $0.reply = .refused(reason: "not \"so\"") }
        let refused = await respond("POST", "/drain?wait=true")
        #expect(refused.status == 409 && refused.body == "{\"accepted\":false,\"reason\":\"not \\\"so\\\"\"}\n")
    }

    @Test("a process that has not started is neither started nor ready, and is alive")
    func notStarted() async {
        source.change { $0.isStarted = false }
        let answers = await [respond("GET", "/startupz"), respond("GET", "/readyz"), respond("GET", "/livez")]
        #expect(answers.map(\.status) == [503, 503, 200])
    }

    @Test("a reactor that does not answer fails liveness, readiness and every page, not start-up")
    func noSnapshot() async {
        source.change { $0.snapshot = nil }
        for path in ["/livez", "/readyz", "/metrics", "/status", "/"] {
            let answer = await respond("GET", path)
            #expect(answer.status == 503 && answer.body.contains("reactor"), "\(path)")
        }
        let startup = await respond("GET", "/startupz")
        #expect(startup.status == 200)
    }

    @Test(
        "an ending process is alive and not ready, from lame duck on",
        arguments: [DrainState.lameDuck, .draining, .cancelling])
    func ending(state: DrainState) async {
        source.change {
            $0.snapshot?.drainState = state
            $0.snapshot?.drainReason = "SIGTERM"
        }
        let ready = await respond("GET", "/readyz")
        #expect(ready.status == 503 && ready.body.contains(state.name) && ready.body.contains("SIGTERM"))
        let live = await respond("GET", "/livez")
        #expect(live.status == 200)
    }

    @Test("a backend that is away counts for readiness only where it is named, and never for liveness")
    func readinessBackends() async {
        var ready = await respond("GET", "/readyz")
        #expect(ready.status == 200)
        source.change { $0.readinessBackends = ["main"] }
        ready = await respond("GET", "/readyz")
        #expect(ready.status == 200)
        source.change { $0.readinessBackends = ["main", "pg"] }
        ready = await respond("GET", "/readyz")
        #expect(ready.status == 503 && ready.body.contains("pg") && ready.body.contains("refused"))
        let live = await respond("GET", "/livez")
        #expect(live.status == 200)
    }
}
