"""Responses: one of every payload, and what comes around them. A client reads these."""

from packing import base64_text as b64
from packing import data, double, frame, number, signed

MAXIMUM = (1 << 64) - 1
COST = data(4, number(1, 10) + number(2, 250) + number(3, 300))
COST_READ = {"queue_microseconds": "10", "backend_microseconds": "250", "total_microseconds": "300"}


def ok(name, about, payload, body, message):
    """A final answer with status OK, which is the default and therefore not on the wire."""
    field, key = payload
    return {"name": name, "about": about, "bytes": frame(number(1, 7), data(field, body), COST),
            "messages": [{"id": "7", "cost": COST_READ, key: message}]}


def several(name, about, *pairs):
    """Frames one behind the other, each given as its bytes and its reading."""
    return {"name": name, "about": about, "bytes": b"".join(bytes for bytes, _ in pairs),
            "messages": [message for _, message in pairs]}


def payloads():
    yield ok("get", "A value with version and expiry.", (16, "get"),
             number(1, 1) + data(2, b"hello") + number(3, 42) + number(4, 1_700_000_000_000),
             {"found": True, "value": b64(b"hello"), "version": "42", "expires_at_milliseconds": "1700000000000"})
    yield ok("get-missing", "A key that is not there is OK, found is false: an empty message.", (16, "get"), b"", {})
    yield ok("get-many", "One entry a key, in the order asked; the second is not there.", (17, "get_many"),
             data(1, number(1, 1) + data(2, b"a") + number(3, 1)) + data(1, b""),
             {"entries": [{"found": True, "value": b64(b"a"), "version": "1"}, {}]})
    yield ok("put", "The new version.", (18, "put"), number(1, MAXIMUM), {"version": str(MAXIMUM)})
    yield ok("delete", "Whether it was there.", (19, "delete"), number(1, 1), {"found": True})
    yield ok("increment", "A negative value.", (20, "increment"), signed(1, -(1 << 63)) + number(2, 7),
             {"value": str(-(1 << 63)), "version": "7"})
    yield ok("touch", "Whether it was there.", (21, "touch"), number(1, 1), {"found": True})
    yield ok("write", "One result an item.", (22, "write"),
             data(1, data(1, number(1, 8))) + data(1, data(2, b"")) + data(1, data(3, signed(1, 5) + number(2, 9)))
             + data(1, data(4, number(1, 1))),
             {"items": [{"put": {"version": "8"}}, {"delete": {}}, {"increment": {"value": "5", "version": "9"}},
                        {"touch": {"found": True}}]})
    yield ok("count", "A count.", (24, "count"), number(1, 3), {"count": "3"})
    yield ok("watch", "An empty message; nothing more is defined yet.", (25, "watch"), b"", {})
    yield ok("batch", "One result an execution.", (33, "batch"),
             data(1, data(1, data(1, "1")) + data(2, data(1, signed(3, 1))) + data(3, "SELECT"))
             + data(1, data(3, "INSERT") + number(4, 2)),
             {"results": [{"columns": [{"name": "1"}], "rows": [{"values": [{"integer": "1"}]}], "tag": "SELECT"},
                          {"tag": "INSERT", "rows_affected": "2"}]})
    yield ok("begin", "A handle and its limits.", (34, "begin"), number(1, 1 << 56 | 1) + number(2, 1_000_000) + number(3, 5_000_000),
             {"transaction": str(1 << 56 | 1), "idle_limit_microseconds": "1000000", "total_limit_microseconds": "5000000"})
    for field, name in ((35, "commit"), (36, "rollback"), (37, "savepoint"), (38, "rollback_to")):
        yield ok(name.replace("_", "-"), "An empty message says which operation it was.", (field, name), b"", {})
    yield ok("hello", "Limits, backends, drain state.", (48, "hello"),
             data(1, "1.0") + data(2, data(1, "main") + number(2, 1) + number(3, 1)) + data(2, data(1, "pg") + number(2, 2))
             + number(3, 1) + number(4, 4 << 20) + number(5, 1024) + number(6, 30_000_000) + number(7, 3_600_000_000),
             {"server_version": "1.0",
              "backends": [{"name": "main", "kind": "BACKEND_KIND_SQLITE", "is_default": True},
                           {"name": "pg", "kind": "BACKEND_KIND_POSTGRESQL"}],
              "drain_state": "DRAIN_STATE_SERVING", "frame_bytes_max": str(4 << 20), "in_flight_max": "1024",
              "default_timeout_microseconds": "30000000", "maximum_timeout_microseconds": "3600000000"})
    yield ok("ping", "The payload as it was sent.", (49, "ping"), data(1, b"\x00ping\xff"), {"payload": b64(b"\x00ping\xff")})
    yield ok("cancel", "Whether it was in flight.", (50, "cancel"), number(1, 1), {"found": True})


def streams():
    part = lambda *body: frame(number(1, 7), *body, number(3, 1))
    yield several("scan", "A scan in two parts: `more` on all but the last, the cursor and the cost on the last.",
                  (part(data(23, data(1, data(1, b"a") + data(2, b"1") + number(3, 1)))),
                   {"id": "7", "more": True, "scan": {"entries": [{"key": b64(b"a"), "value": b64(b"1"), "version": "1"}]}}),
                  (frame(number(1, 7), data(23, data(1, data(1, b"b") + number(3, 2) + number(4, 9)) + data(2, b"\x01b")), COST),
                   {"id": "7", "cost": COST_READ,
                    "scan": {"entries": [{"key": b64(b"b"), "version": "2", "expires_at_milliseconds": "9"}],
                             "cursor": b64(b"\x01b")}}))
    value = lambda body: data(1, body)
    row = data(2, value(data(1, b"")) + value(number(2, 1)) + value(signed(3, -1)) + value(double(4, 1.5))
               + value(data(5, "\u00e9")) + value(data(6, b"\xff")) + value(data(7, data(1, "uuid") + data(2, "0"))))
    read = [{"null": {}}, {"boolean": True}, {"integer": "-1"}, {"double": 1.5}, {"text": "\u00e9"},
            {"bytes": b64(b"\xff")}, {"typed": {"type": "uuid", "text": "0"}}]
    yield several("query", "Rows in two parts, another answer in between: columns on the first, tag on the last.",
                  (part(data(32, data(1, data(1, "a") + data(2, "INTEGER")) + data(1, data(1, "b")) + row)),
                   {"id": "7", "more": True, "query": {"columns": [{"name": "a", "type": "INTEGER"}, {"name": "b"}],
                                                       "rows": [{"values": read}]}}),
                  (frame(number(1, 8), data(49, b""), data(4, b"")), {"id": "8", "cost": {}, "ping": {}}),
                  (frame(number(1, 7), data(32, data(3, "SELECT") + number(4, 1)), COST),
                   {"id": "7", "cost": COST_READ, "query": {"tag": "SELECT", "rows_affected": "1"}}))
    yield several("stream-failed", "A stream that fails: parts, then the status; what was read so far is no complete result.",
                  (part(data(32, data(1, data(1, "a")))), {"id": "7", "more": True, "query": {"columns": [{"name": "a"}]}}),
                  (frame(number(1, 7), number(2, 4), data(5, number(1, 6) + number(2, 1) + number(3, 1) + data(7, "too late")), COST),
                   {"id": "7", "status": "DEADLINE_EXCEEDED", "cost": COST_READ,
                    "failure": {"stage": "STAGE_STREAM", "outcome": "OUTCOME_NOT_EXECUTED", "retryable": True,
                                "message": "too late"}}))


def others():
    failure = (number(1, 5) + number(2, 3) + number(3, 1) + number(4, 50_000) + data(5, "40001") + number(6, -1 & (1 << 64) - 1)
               + data(7, "what to do") + number(8, MAXIMUM) + number(9, 3) + number(10, 17) + data(11, "detail") + data(12, "hint"))
    yield several("failure", "A status with every field of Failure; sqlite_code is a negative int32, ten bytes long.",
                  (frame(number(1, 7), number(2, 10), data(5, failure), COST),
                   {"id": "7", "status": "ABORTED", "cost": COST_READ,
                    "failure": {"stage": "STAGE_EXECUTE", "outcome": "OUTCOME_UNKNOWN", "retryable": True,
                                "retry_after_microseconds": "50000", "sqlstate": "40001", "sqlite_code": -1,
                                "message": "what to do", "current_version": str(MAXIMUM), "item": 3, "position": 17,
                                "detail": "detail", "hint": "hint"}}))
    yield several("replayed", "The first answer of a repeated write, and one whose first answer was too large to keep.",
                  (frame(number(1, 7), data(18, number(1, 42)), number(6, 1), COST),
                   {"id": "7", "replayed": True, "cost": COST_READ, "put": {"version": "42"}}),
                  (frame(number(1, 8), number(6, 1), COST), {"id": "8", "replayed": True, "cost": COST_READ}))
    yield several("notice", "Pushed: id 0 and status OK, both defaults.",
                  (frame(data(63, number(1, 2) + data(2, "SIGTERM") + number(3, 1_500_000))),
                   {"notice": {"drain_state": "DRAIN_STATE_LAME_DUCK", "reason": "SIGTERM",
                               "budget_left_microseconds": "1500000"}}))
    yield several("last", "Id 0 with another status: the last frame of a connection that broke the protocol.",
                  (frame(number(2, 3), data(5, number(1, 1) + number(2, 1) + data(7, "a frame of length 0"))),
                   {"status": "INVALID_ARGUMENT",
                    "failure": {"stage": "STAGE_DECODE", "outcome": "OUTCOME_NOT_EXECUTED", "message": "a frame of length 0"}}))
    yield several("newer", "From a newer server: an unknown payload, an unknown status and unknown fields must not stop a client.",
                  (frame(number(1, 7), number(2, 99), data(60, b"\x08\x01"), data(200, b"later"), COST),
                   {"id": "7", "status": 99, "cost": COST_READ}))


def vectors():
    for group in (payloads, streams, others):
        yield from group()
