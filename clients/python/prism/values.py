"""Python's values to the wire's and back."""

from collections import namedtuple

from ._messages import messages

# A value of a database type that has no kind of its own, as the database writes it.
Typed = namedtuple("Typed", "type text")
Column = namedtuple("Column", "name type")
# expires_at_milliseconds is Unix time; 0: the entry does not expire.
Entry = namedtuple("Entry", "key value version expires_at_milliseconds")


class Result:
    """The answer of a query: columns, rows (tuples), tag and rows_affected. Iterates over its rows."""

    __slots__ = ("columns", "rows", "tag", "rows_affected", "replayed")

    def __init__(self, columns=(), rows=(), tag="", rows_affected=0, replayed=False):
        self.columns = columns
        self.rows = rows
        self.tag = tag
        self.rows_affected = rows_affected
        # The answer of an earlier request with the same idempotency key.
        self.replayed = replayed

    def __iter__(self):
        return iter(self.rows)

    def __len__(self):
        return len(self.rows)

    def scalar(self):
        """The first column of the first row; None without rows."""
        return self.rows[0][0] if self.rows else None

    def __repr__(self):
        return f"Result(tag={self.tag!r}, rows={len(self.rows)}, rows_affected={self.rows_affected})"


def to_bytes(value):
    """Keys and key-value values are bytes; text is taken as UTF-8."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"expected str or bytes, not {type(value).__name__}")


def milliseconds(seconds):
    """A time to live in seconds as whole milliseconds, rounded up; None: does not expire."""
    if seconds is None:
        return 0
    if seconds <= 0:
        raise ValueError("a time to live is above 0 seconds; None: none")
    return max(1, -int(-seconds * 1000 // 1))


def to_value(value):
    if value is None:
        return messages.Value(null=messages.Null())
    if isinstance(value, bool):  # before int: a bool is one
        return messages.Value(boolean=value)
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise OverflowError(f"{value} does not fit a signed 64-bit integer; send it as text")
        return messages.Value(integer=value)
    if isinstance(value, float):
        return messages.Value(double=value)
    if isinstance(value, str):
        return messages.Value(text=value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return messages.Value(bytes=bytes(value))
    if isinstance(value, Typed):
        return messages.Value(typed=messages.TypedText(type=value.type, text=value.text))
    raise TypeError(f"a parameter is None, bool, int, float, str, bytes or prism.Typed, not {type(value).__name__}")


def from_value(value):
    kind = value.WhichOneof("kind")
    if kind is None or kind == "null":
        return None
    if kind == "typed":
        return Typed(value.typed.type, value.typed.text)
    return getattr(value, kind)


def rows_of(message):
    return [tuple(map(from_value, row.values)) for row in message.rows]


def columns_of(message):
    return tuple(Column(column.name, column.type) for column in message.columns)
