"""Requests that can be read and are refused. The connection lives on."""

from packing import base64_text as b64
from packing import data, frame, number
from requests import failed

BAD_TEXT = b"a\xffb"


def refused(name, about, *parts, status="INVALID_ARGUMENT", stage="DECODE", message=None, limits=None, **more):
    """`message` is left out where JSON cannot say it, or where it would be longer than the bytes."""
    vector = {"name": name, "about": about, "bytes": frame(number(1, 7), *parts), "answers": [failed(7, status, stage, **more)]}
    if message is not None:
        vector["messages"] = [{"id": "7", **message}]
    if limits:
        vector["limits"] = limits
    return vector


def operations():
    yield refused("no-operation", "No operation.", status="UNIMPLEMENTED", message={})
    yield refused("unknown-operation", "An operation of a later version: an unknown field.", data(60, b""),
                  status="UNIMPLEMENTED", message={})
    yield refused("unknown-backend", "A backend that is not configured.", data(4, "nowhere"), data(16, data(2, b"k")),
                  status="NOT_FOUND", stage="ADMISSION", message={"backend": "nowhere", "get": {"key": b64(b"k")}})
    yield refused("unknown-transaction", "A handle that no Begin has answered.", number(5, (1 << 64) - 1), data(16, data(2, b"k")),
                  status="NOT_FOUND", stage="ADMISSION", message={"transaction": str((1 << 64) - 1), "get": {"key": b64(b"k")}})
    yield refused("expired", "A deadline that passed when the machine started.", number(3, 1), data(16, data(2, b"k")),
                  status="DEADLINE_EXCEEDED", stage="ADMISSION", message={"deadline_nanoseconds": "1", "get": {"key": b64(b"k")}})
    yield refused("read-only-put", "A write under read_only.", number(6, 1), data(18, data(2, b"k")),
                  message={"read_only": True, "put": {"key": b64(b"k")}})
    yield refused("begin-in-transaction", "Begin with a handle.", number(5, 72), data(34, b""),
                  message={"transaction": "72", "begin": {}})
    yield refused("commit-without-transaction", "Commit without a handle.", data(35, b""), message={"commit": {}})
    yield refused("idempotency-key-on-a-read", "idempotency_key on a Get.", data(7, "key"), data(16, data(2, b"k")),
                  message={"idempotency_key": "key", "get": {"key": b64(b"k")}})
    yield refused("idempotency-key-in-transaction", "idempotency_key on a Put of a transaction.", number(5, 72), data(7, "key"),
                  data(18, data(2, b"k")),
                  message={"transaction": "72", "idempotency_key": "key", "put": {"key": b64(b"k")}})


def texts():
    places = {
        "backend": lambda text: data(4, text) + data(49, b""),
        "idempotency-key": lambda text: data(7, text) + data(18, data(2, b"k")),
        "traceparent": lambda text: data(8, text) + data(49, b""),
        "sql": lambda text: data(32, data(1, text)),
        "parameter-name": lambda text: data(32, data(1, "select :a") + data(2, data(5, "x")) + data(3, text)),
        "typed-type": lambda text: data(32, data(1, "select $1") + data(2, data(7, data(1, text)))),
        "namespace": lambda text: data(16, data(1, text) + data(2, b"k")),
        "savepoint": lambda text: number(5, 72) + data(37, data(1, text)),
        "client-name": lambda text: data(48, data(1, text)),
        "client-version": lambda text: data(48, data(2, text)),
    }
    for place, build in places.items():
        yield refused(f"bad-utf8-{place}", f"A byte that is not UTF-8 in {place}.", build(BAD_TEXT))
        yield refused(f"nul-{place}", f"A NUL in {place}.", build(b"a\0b"))
    for name, bad in {"overlong": b"\xc0\xaf", "surrogate": b"\xed\xa0\x80", "beyond": b"\xf4\x90\x80\x80", "cut": b"\xe2\x82"}.items():
        yield refused(f"bad-utf8-{name}", "Ill-formed UTF-8 that lenient decoders let through, in a text parameter.",
                      data(32, data(1, "select $1") + data(2, data(5, bad))))


def limits():
    yield refused("key-empty", "A key of no bytes.", data(16, b""), message={"get": {}})
    yield refused("key-long", "A key of 1,025 bytes.", data(16, data(2, b"k" * 1025)))
    yield refused("namespace-long", "A namespace of 65 bytes.", data(16, data(1, "n" * 65) + data(2, b"k")))
    yield refused("namespace-upper-case", "A namespace outside of a-z 0-9 -.", data(16, data(1, "Upper") + data(2, b"k")),
                  message={"get": {"namespace": "Upper", "key": b64(b"k")}})
    yield refused("get-many-too-many", "1,001 keys.", data(17, data(2, b"k") * 1001))
    yield refused("write-empty", "Write of no item.", data(22, b""), message={"write": {}})
    yield refused("write-too-many", "1,001 items.", data(22, data(1, data(4, data(2, b"k"))) * 1001))
    yield refused("write-item-without-operation", "The second item names no operation.",
                  data(22, data(1, data(2, data(2, b"k"))) + data(1, b"")), item=2,
                  message={"write": {"items": [{"delete": {"key": b64(b"k")}}, {}]}})
    yield refused("batch-empty", "Batch of no statement.", data(33, b""), message={"batch": {}})
    yield refused("batch-too-many", "1,001 statements.", data(33, data(1, data(1, "select 1")) * 1001))
    yield refused("batch-sets-and-parameters", "Parameter sets for a statement with a parameter of its own.",
                  data(33, data(1, data(1, "select $1") + data(2, data(1, b""))) + data(2, data(1, data(1, b"")))),
                  message={"batch": {"statements": [{"sql": "select $1", "parameters": [{"null": {}}]}],
                                     "parameter_sets": [{"parameters": [{"null": {}}]}]}})
    yield refused("ttl-long", "A time to live above 100 years.", data(18, data(2, b"k") + number(4, (1 << 64) - 1)),
                  message={"put": {"key": b64(b"k"), "ttl_milliseconds": str((1 << 64) - 1)}})
    yield refused("condition-absent-false", "A condition that is set to false.", data(18, data(2, b"k") + data(5, number(1, 0))),
                  message={"put": {"key": b64(b"k"), "condition": {"absent": False}}})
    yield refused("condition-version-0", "version_equals 0.", data(18, data(2, b"k") + data(5, number(3, 0))),
                  message={"put": {"key": b64(b"k"), "condition": {"version_equals": "0"}}})
    yield refused("delete-absent", "Delete of what is not there.", data(19, data(2, b"k") + data(3, number(1, 1))),
                  message={"delete": {"key": b64(b"k"), "condition": {"absent": True}}})
    yield refused("scan-cursor", "A cursor that no scan has answered.", data(23, data(6, b"\x02k")),
                  message={"scan": {"cursor": b64(b"\x02k")}})
    yield refused("scan-prefix-and-start", "A range by prefix and by start.", data(23, data(2, data(1, b"a") + data(2, b"b"))),
                  message={"scan": {"range": {"prefix": b64(b"a"), "start": b64(b"b")}}})
    yield refused("savepoint-digit", "A savepoint's name that starts with a digit.", number(5, 72), data(37, data(1, "1s")),
                  message={"transaction": "72", "savepoint": {"name": "1s"}})
    yield refused("client-name-long", "A client's name of 65 bytes.", data(48, data(1, "n" * 65)))
    yield refused("idempotency-key-long", "An idempotency key of 256 bytes.", data(7, "k" * 256), data(18, data(2, b"k")))
    yield refused("traceparent-long", "A traceparent of 129 bytes.", data(8, "t" * 129), data(49, b""))
    yield refused("sql-empty", "No SQL text.", data(32, b""), message={"query": {}})
    yield refused("sql-and-statement", "SQL, and the name of a statement.", data(32, data(1, "select 1") + data(4, "a")),
                  message={"query": {"sql": "select 1", "statement": "a"}})
    yield refused("parameter-without-kind", "A parameter that is not even NULL.", data(32, data(1, "select $1") + data(2, b"")),
                  message={"query": {"sql": "select $1", "parameters": [{}]}})
    yield refused("names-too-few", "One name for two parameters.",
                  data(32, data(1, "select :a, :b") + data(2, data(1, b"")) * 2 + data(3, "a")),
                  message={"query": {"sql": "select :a, :b", "parameters": [{"null": {}}, {"null": {}}], "names": ["a"]}})
    yield refused("value-long", "A value above limits.value_bytes, here 1 KiB.", data(18, data(2, b"k") + data(3, b"v" * 1025)),
                  limits={"frame_bytes": 65536, "decode_bytes": 65536, "value_bytes": 1024})


def vectors():
    for group in (operations, texts, limits):
        yield from group()
