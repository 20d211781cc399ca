"""What ends a connection: frames that are none, messages that cannot be decoded, and ids that break the rules."""

import struct

from packing import base64_text as b64
from packing import data, fixed32, frame, number, tag, varint

# The last answer has id 0, which is not on the wire.
LAST = {"id": "0", "status": "INVALID_ARGUMENT", "stage": "STAGE_DECODE", "outcome": "OUTCOME_NOT_EXECUTED"}
PING = frame(number(1, 7), data(49, b""))
PING_READ = {"id": "7", "ping": {}}
PING_ANSWER = {"id": "7", "status": "OK", "payload": "ping"}


def ends(name, about, bytes, why, before=False, limits=None):
    """`why` is the reading of the last frame: not_a_frame, not_decodable, id_0, id_in_flight."""
    vector = {"name": name, "about": about, "bytes": (PING if before else b"") + bytes, "messages": [PING_READ] if before else [],
              "ends": why, "answers": ([PING_ANSWER] if before else []) + [LAST]}
    if limits:
        vector["limits"] = limits
    return vector


def half(name, about, bytes):
    """The client's sending side ends in the middle: no answer, no error, closed."""
    return {"name": name, "about": about, "bytes": bytes, "messages": [], "ends": "incomplete", "answers": []}


def lengths():
    yield ends("length-0", "A length of 0.", b"\0\0\0\0", "not_a_frame")
    yield ends("length-0-behind-a-request", "A length of 0 behind a good request, which is answered first.", b"\0\0\0\0",
               "not_a_frame", before=True)
    yield ends("length-above-limit", "A length of one byte above the limit of 4 MiB; nothing need follow.",
               struct.pack(">I", (4 << 20) + 1), "not_a_frame")
    yield ends("length-maximum", "A length of 2^32 - 1.", b"\xff\xff\xff\xff", "not_a_frame")
    yield ends("length-sign", "A length of 2^31, negative where lengths are signed.", b"\x80\0\0\0", "not_a_frame")
    yield ends("length-little-endian", "A length written in the wrong byte order.", struct.pack("<I", 6) + PING[4:], "not_a_frame")
    yield ends("no-length", "A message without its length.", PING[4:] + PING[4:], "not_a_frame")
    yield half("half-length", "Half a length.", PING[:2])
    yield half("half-frame", "All of a frame but its last byte.", PING[:-1])


def undecodable():
    def message(name, about, *parts, **options):
        return ends(name, about, frame(*parts), "not_decodable", **options)

    yield message("ones", "Twenty bytes 0xff.", b"\xff" * 20)
    yield message("varint-cut", "A varint that the end of the message cuts.", number(1, 7), tag(2, 0) + b"\x80")
    yield message("varint-long", "A varint of eleven bytes.", tag(1, 0) + b"\xff" * 10 + b"\x01", data(49, b""))
    yield message("tag-cut", "A tag that the end of the message cuts.", number(1, 7), data(49, b""), b"\x80")
    yield message("field-0", "A field with number 0.", number(1, 7), b"\x00\x01", data(49, b""))
    yield message("length-beyond", "A field that is longer than the message.", number(1, 7), tag(49, 2) + varint(5) + b"abc")
    yield message("length-huge", "A field with a length of 2^63.", number(1, 7), tag(49, 2) + varint(1 << 63))
    yield message("nested-length-beyond", "A nested field that is longer than its message.", number(1, 7),
                  data(16, tag(2, 2) + varint(9) + b"k"))
    yield message("nested-behind-good", "The same in the last of several items, behind a good request.", number(1, 8),
                  data(22, data(1, data(2, data(2, b"k"))) + data(1, data(2, tag(2, 2) + varint(200)))), before=True)
    yield message("group", "A group, which proto3 does not have.", number(1, 7), data(49, b""), tag(90, 3) + tag(90, 4))
    yield message("wire-type-6", "A wire type that does not exist.", number(1, 7), tag(90, 6), data(49, b""))
    yield message("fixed32-cut", "Three bytes where four belong.", number(1, 7), data(49, b""), tag(90, 5) + b"abc")
    yield message("wrong-type-id", "The id as bytes.", data(1, b"7"), data(49, b""))
    yield message("wrong-type-operation", "An operation as a number.", number(1, 7), number(49, 1))
    yield message("wrong-type-header", "A timeout as 32 fixed bits.", number(1, 7), fixed32(2, 1), data(49, b""))
    yield message("wrong-type-nested", "A key as a number.", number(1, 7), data(16, number(2, 1)))
    yield message("memory", "2,000 empty statements, two bytes each on the wire: under a limit of 64 KiB they need too much memory.",
                  number(1, 7), data(33, data(1, b"") * 2000),
                  limits={"frame_bytes": 65536, "decode_bytes": 65536, "value_bytes": 16384})


def ids():
    yield ends("id-0", "An id of 0, written out.", frame(number(1, 0), data(49, b"")), "id_0")
    yield ends("id-missing", "No id.", frame(data(49, b"")), "id_0")
    yield ends("id-0-last", "An id that is 0 at its second place.", frame(number(1, 7), data(49, b""), number(1, 0)), "id_0")
    twice = frame(number(1, 7), data(16, data(2, b"k")))
    yield ends("id-in-flight", "The same id twice at once. The first request is not answered either; sent in one piece.", twice * 2,
               "id_in_flight") | {"messages": [{"id": "7", "get": {"key": b64(b"k")}}]}


def vectors():
    for group in (lengths, undecodable, ids):
        yield from group()
