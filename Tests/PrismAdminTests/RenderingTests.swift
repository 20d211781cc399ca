import Foundation
import PrismCore
import Testing

@testable import PrismAdmin

@Suite struct RenderingTests {
    static let lines = MetricsText.render(FakeSource.snapshot()).split(separator: "\n").map(String.init)

    @Test("the text format: a family has its HELP and TYPE before its samples, once, and every line is well formed")
    func format() throws {
        let sample = #/([a-z_]+)(\{([a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\d+(?:\.\d+)?)/#
        var types: [String: String] = [:]
        var family = ""
        for line in Self.lines {
            if let help = line.wholeMatch(of: #/# HELP (prism_[a-z_]+) \S.*/#) {
                family = String(help.1)
                #expect(types[family] == nil, "\(family) comes twice")
            } else if let type = line.wholeMatch(of: #/# TYPE (\w+) (counter|gauge|histogram)/#) {
                #expect(String(type.1) == family)
                types[family] = String(type.2)
            } else if let match = line.wholeMatch(of: sample) {
                let name = String(match.1)
                let suffixes = types[family] == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
                #expect(suffixes.contains { name == family + $0 }, "\(line) stands under \(family)")
                #expect((types[family] == "counter") == name.hasSuffix("_total"), "\(name): counters end in _total")
            } else {
                Issue.record("not of the format: \(line)")
            }
        }
        #expect(types.count > 20)
        #expect(Set(Self.lines).count == Self.lines.count, "a sample comes twice")
    }

    @Test("the samples say what was counted")
    func samples() {
        for line in [
            "prism_requests_total{backend=\"main\",operation=\"get\",code=\"OK\",client=\"uid 1000 \\\"\\\\\\n\"} 10",
            "prism_requests_total{backend=\"main\",operation=\"get\",code=\"OK\",client=\"other\"} 1",
            "prism_request_duration_seconds_bucket{backend=\"main\",le=\"0.00001\"} 1",
            "prism_request_duration_seconds_bucket{backend=\"main\",le=\"0.00005\"} 2",
            "prism_request_duration_seconds_bucket{backend=\"main\",le=\"100\"} 2",
            "prism_request_duration_seconds_bucket{backend=\"main\",le=\"+Inf\"} 3",
            "prism_request_duration_seconds_sum{backend=\"main\"} 200.00004",
            "prism_request_duration_seconds_count{backend=\"main\"} 3",
            "prism_in_flight 5", "prism_clients 2", "prism_transactions 1", "prism_buffered_bytes 1000",
            "prism_queue_depth{backend=\"main\"} 3", "prism_backend_healthy{backend=\"pg\"} 0",
            "prism_backend_connections{backend=\"main\",state=\"writer\"} 1",
            "prism_deadline_exceeded_total{stage=\"queue\"} 4", "prism_cancelled_total{reason=\"disconnect\"} 5",
            "prism_bytes_total{direction=\"in\"} 6", "prism_bytes_total{direction=\"out\"} 7",
            "prism_connections_accepted_total 8", "prism_connections_refused_total 9",
            "prism_protocol_errors_total 10", "prism_late_completions_total 11",
            "prism_unanswered_at_close_total 12", "prism_invariant_violations_total 0", "prism_drain_state 1",
            "prism_uptime_seconds 90.5", "prism_build_info{version=\"1.2.3\"} 1",
        ] { #expect(Self.lines.contains(line), "\(line)") }
        // No request without a backend was timed: no series for it.
        #expect(!Self.lines.contains { $0.contains("_count{backend=\"\"}") })
    }

    @Test("/status is JSON, whatever clients and databases call themselves")
    func status() throws {
        let text = StatusJSON.render(FakeSource.snapshot(), notReadyReason: nil)
        let status = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(status["ready"] as? Bool == true && status["in_flight"] as? Int == 5)
        #expect(status["uptime_seconds"] as? Double == 90.5)
        let client = try #require((status["client_list"] as? [[String: Any]])?.first)
        #expect(client["name"] as? String == "<script>\"\\\n" && client["requests_total"] as? UInt64 == .max)
        let backends = try #require(status["backends"] as? [[String: Any]])
        #expect(backends.map { $0["name"] as? String } == ["main", "pg"])
        #expect(backends[1]["problem"] as? String == "refused <b>&\"quoted\"")
        let duration = try #require(backends[0]["request_duration"] as? [String: Any])
        #expect(duration["count"] as? Int == 3 && duration["p50_microseconds"] as? Int == 50)
        #expect(duration["p99_microseconds"] is NSNull, "above all bounds: unknown")
        let requests = try #require(status["requests"] as? [String: Any])
        #expect((requests["by_code"] as? [String: Int]) == ["OK": 11, "UNIMPLEMENTED": 2])
        #expect((status["drain"] as? [String: Any])?["report"] is NSNull)
    }

    @Test("/status of an ending has its report")
    func drainReport() throws {
        var snapshot = FakeSource.snapshot()
        snapshot.drainState = .draining
        var report = DrainReport()
        report.cancelled = 3
        report.milliseconds = 12
        snapshot.drainReport = report
        let text = StatusJSON.render(snapshot, notReadyReason: "ending")
        let status = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let drain = try #require(status["drain"] as? [String: Any])
        #expect(drain["state"] as? String == "DRAINING")
        #expect((drain["report"] as? [String: Any])?["cancelled"] as? Int == 3)
        #expect(status["ready"] as? Bool == false && status["not_ready_reason"] as? String == "ending")
    }

    @Test("the page holds nothing that a client could turn into markup")
    func page() {
        let page = StatusPage.render(FakeSource.snapshot(), notReadyReason: "<i>")
        #expect(!page.contains("<script>") && !page.contains("<i>") && !page.contains("<b>&"))
        #expect(page.contains("&lt;script&gt;&quot;") && page.contains("1.2.3") && page.contains("broken invariants"))
    }

    @Test("decimal text is exact")
    func decimals() {
        let seconds: [(UInt64, String)] = [
            (0, "0"), (1, "0.000000001"), (10_000, "0.00001"), (1_500_000_000, "1.5"), (100_000_000_000, "100"),
            (.max, "18446744073.709551615"),
        ]
        for (nanoseconds, text) in seconds { #expect(DecimalText.seconds(nanoseconds: nanoseconds) == text) }
        #expect(DecimalText.uptime(nanoseconds: 1_234_567_890_123) == "20m 34s")
        #expect(DecimalText.uptime(nanoseconds: 0) == "0s")
        #expect(
            DecimalText.bound(nanoseconds: 20_000) == "20 µs"
                && DecimalText.bound(nanoseconds: .max) == "more than 100 s")
    }
}
