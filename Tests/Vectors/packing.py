"""The protobuf wire format by hand: enough to write every vector, right or wrong, without any protobuf library."""

import base64
import struct


def varint(value, bytes_min=1):
    """An unsigned varint; `bytes_min` above what it needs gives an overlong one, which decoders accept."""
    out = bytearray()
    while value > 0x7F or len(out) + 1 < bytes_min:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number, wire_type):
    return varint(number << 3 | wire_type)


def number(field, value, bytes_min=1):
    """uint64, uint32, bool, enum: wire type 0. A negative int32 or int64 takes ten bytes."""
    return tag(field, 0) + varint(value & 0xFFFF_FFFF_FFFF_FFFF, bytes_min)


def signed(field, value):
    """sint64: zigzag."""
    return number(field, (value << 1) ^ (value >> 63))


def double(field, value):
    return tag(field, 1) + struct.pack("<d", value)


def fixed32(field, value):
    return tag(field, 5) + struct.pack("<I", value)


def fixed64(field, value):
    return tag(field, 1) + struct.pack("<Q", value)


def data(field, value):
    """bytes, string or message: wire type 2."""
    value = value.encode() if isinstance(value, str) else value
    return tag(field, 2) + varint(len(value)) + value


def frame(*parts):
    body = b"".join(parts)
    return struct.pack(">I", len(body)) + body


def base64_text(value):
    """As protobuf's JSON writes bytes."""
    return base64.b64encode(value).decode()
