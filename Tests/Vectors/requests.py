"""Requests that are well formed: one of every operation, and the corners of the encoding."""

from packing import base64_text as b64
from packing import data, double, fixed32, fixed64, frame, number, signed

MAXIMUM = (1 << 64) - 1


def ok(id):
    return {"id": str(id), "status": "OK"}


def failed(id, status, stage, **more):
    return {"id": str(id), "status": status, "stage": f"STAGE_{stage}", "outcome": "OUTCOME_NOT_EXECUTED", **more}


def one(name, about, operation, body, message, *header, answer=None, payload=None, id=7, **header_message):
    """A frame with one request of `operation` (its field number and its name)."""
    field, key = operation
    expected = {"id": str(id), **header_message, key: message}
    answer = answer or ok(id)
    if answer["status"] == "OK":
        answer = {**answer, "payload": payload or key}
    return {"name": name, "about": about, "bytes": frame(number(1, id), *header, data(field, body)),
            "messages": [expected], "answers": [answer]}


def key_value():
    every_byte = bytes(range(256))
    yield one("get", "Get of a key in the default namespace.", (16, "get"), data(2, b"greeting"),
              {"key": b64(b"greeting")})
    yield one("get-namespace", "Get of a key of 256 different bytes in a namespace.", (16, "get"),
              data(1, "sessions-1") + data(2, every_byte), {"namespace": "sessions-1", "key": b64(every_byte)})
    yield one("get-many", "GetMany of three keys, one of them twice.", (17, "get_many"),
              data(2, b"a") + data(2, b"b") + data(2, b"a"), {"keys": [b64(b"a"), b64(b"b"), b64(b"a")]})
    yield one("get-many-nothing", "GetMany of no key: an empty message.", (17, "get_many"), b"", {})
    yield one("put", "Put without a condition.", (18, "put"), data(2, b"greeting") + data(3, b"hello"),
              {"key": b64(b"greeting"), "value": b64(b"hello")})
    yield one("put-absent", "Put with a time to live, if the key is not there.", (18, "put"),
              data(1, "vectors") + data(2, b"once") + data(3, b"\x00\xff") + number(4, 60_000) + data(5, number(1, 1)),
              {"namespace": "vectors", "key": b64(b"once"), "value": b64(b"\x00\xff"), "ttl_milliseconds": "60000",
               "condition": {"absent": True}})
    yield one("put-present", "Put if the key is there; it is not.", (18, "put"),
              data(2, b"never") + data(5, number(2, 1)),
              {"key": b64(b"never"), "condition": {"present": True}}, answer=failed(7, "FAILED_PRECONDITION", "EXECUTE"))
    yield one("put-version", "Put if the version is the highest there can be; it is not.", (18, "put"),
              data(2, b"never") + data(5, number(3, MAXIMUM)),
              {"key": b64(b"never"), "condition": {"version_equals": str(MAXIMUM)}},
              answer=failed(7, "FAILED_PRECONDITION", "EXECUTE"))
    yield one("delete", "Delete of a key that is not there: OK, found is false.", (19, "delete"), data(2, b"never"),
              {"key": b64(b"never")})
    yield one("delete-version", "Delete of a version.", (19, "delete"), data(2, b"never") + data(3, number(3, 1)),
              {"key": b64(b"never"), "condition": {"version_equals": "1"}},
              answer=failed(7, "FAILED_PRECONDITION", "EXECUTE"))
    yield one("increment", "Increment by -1 (zigzag 1), with a time to live on creation.", (20, "increment"),
              data(2, b"down") + signed(3, -1) + number(4, 1000),
              {"key": b64(b"down"), "delta": "-1", "ttl_on_creation_milliseconds": "1000"})
    yield one("increment-minimum", "Increment by the lowest 64-bit integer.", (20, "increment"),
              data(2, b"lowest") + signed(3, -(1 << 63)), {"key": b64(b"lowest"), "delta": str(-(1 << 63))})
    yield one("increment-maximum", "Increment by the highest 64-bit integer.", (20, "increment"),
              data(2, b"highest") + signed(3, (1 << 63) - 1), {"key": b64(b"highest"), "delta": str((1 << 63) - 1)})
    yield one("touch", "Touch of a key that is not there.", (21, "touch"), data(2, b"never") + number(3, 5000),
              {"key": b64(b"never"), "ttl_milliseconds": "5000"})
    yield one("write", "Write of one item of each kind.", (22, "write"),
              data(1, data(1, data(2, b"w1") + data(3, b"1"))) + data(1, data(2, data(2, b"w2")))
              + data(1, data(3, data(2, b"w3") + signed(3, 5))) + data(1, data(4, data(2, b"w1"))),
              {"items": [{"put": {"key": b64(b"w1"), "value": b64(b"1")}}, {"delete": {"key": b64(b"w2")}},
                         {"increment": {"key": b64(b"w3"), "delta": "5"}}, {"touch": {"key": b64(b"w1")}}]})
    yield one("scan", "Scan of a prefix, backwards, keys only, three at most.", (23, "scan"),
              data(2, data(1, b"user:")) + number(3, 1) + number(4, 1) + number(5, 3),
              {"range": {"prefix": b64(b"user:")}, "reverse": True, "keys_only": True, "limit": "3"})
    yield one("scan-cursor", "Scan of start <= key < end from a cursor.", (23, "scan"),
              data(2, data(2, b"a") + data(3, b"m")) + data(6, b"\x01c"),
              {"range": {"start": b64(b"a"), "end": b64(b"m")}, "cursor": b64(b"\x01c")})
    yield one("count", "Count of a whole namespace.", (24, "count"), data(1, "vectors"), {"namespace": "vectors"})
    yield one("watch", "Watch is in the schema and comes with a later release.", (25, "watch"),
              data(1, "vectors") + data(2, b"a"), {"namespace": "vectors", "prefix": b64(b"a")},
              answer=failed(7, "UNIMPLEMENTED", "DECODE"))


def sql():
    yield one("query", "Query with one parameter of every kind.", (32, "query"),
              data(1, "select $1, $2, $3, $4, $5, $6, $7")
              + data(2, data(1, b"")) + data(2, number(2, 1)) + data(2, signed(3, -(1 << 63))) + data(2, double(4, -0.5))
              + data(2, data(5, "gr\u00fc\u00df \U0001F310")) + data(2, data(6, b"\x00\xff"))
              + data(2, data(7, data(1, "numeric") + data(2, "12.50"))),
              {"sql": "select $1, $2, $3, $4, $5, $6, $7",
               "parameters": [{"null": {}}, {"boolean": True}, {"integer": str(-(1 << 63))}, {"double": -0.5},
                              {"text": "gr\u00fc\u00df \U0001F310"}, {"bytes": b64(b"\x00\xff")},
                              {"typed": {"type": "numeric", "text": "12.50"}}]},
              number(6, 1), read_only=True)
    yield one("query-defaults", "Query whose parameters are the default value of their kind: each is set all the same.",
              (32, "query"),
              data(1, "select $1, $2, $3, $4, $5") + data(2, number(2, 0)) + data(2, signed(3, 0)) + data(2, double(4, 0.0))
              + data(2, data(5, "")) + data(2, data(6, b"")),
              {"sql": "select $1, $2, $3, $4, $5",
               "parameters": [{"boolean": False}, {"integer": "0"}, {"double": 0}, {"text": ""}, {"bytes": ""}]},
              number(6, 1), read_only=True)
    yield one("query-infinite", "Query with infinity as a parameter.", (32, "query"),
              data(1, "select $1") + data(2, double(4, float("inf"))),
              {"sql": "select $1", "parameters": [{"double": "Infinity"}]}, number(6, 1), read_only=True)
    yield one("query-text-nul", "A text parameter may hold a NUL; SQL text may not.", (32, "query"),
              data(1, "select $1") + data(2, data(5, "a\0b")), {"sql": "select $1", "parameters": [{"text": "a\0b"}]},
              number(6, 1), read_only=True)
    yield one("query-names", "Query with named parameters (SQLite).", (32, "query"),
              data(1, "select :a, @b") + data(2, signed(3, 1)) + data(2, signed(3, 2)) + data(3, "a") + data(3, "b"),
              {"sql": "select :a, @b", "parameters": [{"integer": "1"}, {"integer": "2"}], "names": ["a", "b"]},
              number(6, 1), read_only=True)
    yield one("query-statement", "Query that names a statement of the configuration, here one that is not there.", (32, "query"),
              data(2, signed(3, 17)) + data(4, "order_by_id"),
              {"parameters": [{"integer": "17"}], "statement": "order_by_id"}, answer=failed(7, "NOT_FOUND", "ADMISSION"))
    yield one("batch", "Batch of two statements.", (33, "batch"),
              data(1, data(1, "select 1")) + data(1, data(1, "select $1") + data(2, signed(3, 2))),
              {"statements": [{"sql": "select 1"}, {"sql": "select $1", "parameters": [{"integer": "2"}]}]})
    yield one("batch-sets", "Batch of one statement with two parameter sets.", (33, "batch"),
              data(1, data(1, "select $1")) + data(2, data(1, signed(3, 1))) + data(2, data(1, data(5, "two"))),
              {"statements": [{"sql": "select $1"}],
               "parameter_sets": [{"parameters": [{"integer": "1"}]}, {"parameters": [{"text": "two"}]}]})
    yield one("begin", "Begin of a read-only serializable transaction.", (34, "begin"), number(1, 3),
              {"isolation": "ISOLATION_SERIALIZABLE"}, number(6, 1), read_only=True)
    yield one("begin-empty", "Begin with every default: an empty message.", (34, "begin"), b"", {})
    for field, name in ((35, "commit"), (36, "rollback")):
        yield one(name, f"{name.capitalize()} of a handle that this connection has not been given.", (field, name), b"", {},
                  number(5, 72), answer=failed(7, "NOT_FOUND", "ADMISSION"), transaction="72")
    for field, name in ((37, "savepoint"), (38, "rollback_to")):
        yield one(name.replace("_", "-"), f"{name} of a handle that this connection has not been given.", (field, name),
                  data(1, "s_1"), {"name": "s_1"}, number(5, 72), answer=failed(7, "NOT_FOUND", "ADMISSION"), transaction="72")


def control():
    yield one("hello", "Hello with a name and a version.", (48, "hello"), data(1, "orders") + data(2, "1.2.3"),
              {"client_name": "orders", "client_version": "1.2.3"})
    yield one("ping", "Ping with a payload, which is echoed.", (49, "ping"), data(1, b"\x00ping\xff"),
              {"payload": b64(b"\x00ping\xff")})
    yield one("cancel", "Cancel of an id that is not in flight: OK, found is false.", (50, "cancel"), number(1, 6),
              {"request_id": "6"})


def encoding():
    """Corners of protobuf that a library of any language may produce."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    yield one("header", "Every header field that a write can have, but a deadline and a transaction.", (18, "put"),
              data(2, b"greeting") + data(3, b"hello"), {"key": b64(b"greeting"), "value": b64(b"hello")},
              number(2, 2_500_000), data(4, "main"), data(7, "order-4711"), data(8, trace),
              timeout_microseconds="2500000", backend="main", idempotency_key="order-4711", traceparent=trace)
    yield one("maximum-integers", "Id, timeout and deadline at 2^64 - 1: times saturate.", (16, "get"), data(2, b"k"),
              {"key": b64(b"k")}, number(2, MAXIMUM), number(3, MAXIMUM), id=MAXIMUM,
              timeout_microseconds=str(MAXIMUM), deadline_nanoseconds=str(MAXIMUM))
    get = data(16, data(2, b"k"))
    expected = {"id": "7", "get": {"key": b64(b"k")}}
    answer = [{**ok(7), "payload": "get"}]

    def corner(name, about, *parts, messages=None, answers=None):
        return {"name": name, "about": about, "bytes": frame(*parts), "messages": messages or [expected],
                "answers": answers or answer}

    yield corner("overlong-varint", "The id 7 as a varint of ten bytes, which is legal.", number(1, 7, bytes_min=10), get)
    yield corner("fields-reversed", "The header behind the operation.", get, number(6, 0), number(1, 7))
    yield corner("field-repeated", "A field that stands twice: the last one counts.", number(1, 3), number(1, 7), get)
    yield corner("oneof-repeated", "Two operations: the last one counts.", number(1, 7), data(49, b""), get)
    yield corner("unknown-fields", "Unknown fields of all four wire types are skipped.", number(1, 7), number(1000, MAXIMUM),
                 fixed64(1001, MAXIMUM), data(1002, b"\xff\xfe"), fixed32(1003, 1),
                 data(16, data(2, b"k") + data(99, b"inner") + number(100, 1)))
    yield corner("two-frames", "Two frames one behind the other: two requests, answered in any order.",
                 number(1, 7), get,
                 messages=[expected, {"id": "8", "ping": {}}],
                 answers=[answer[0], {**ok(8), "payload": "ping"}]) | {
        "bytes": frame(number(1, 7), get) + frame(number(1, 8), data(49, b""))}


def vectors():
    for group in (key_value, sql, control, encoding):
        yield from group()
