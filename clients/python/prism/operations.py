"""The operations, as a client or a transaction offers them."""

from ._messages import messages
from .values import Entry, Result, columns_of, milliseconds, rows_of, to_bytes, to_value


def Put(key, value, *, ttl=None, if_absent=False, if_present=False, if_version=None, namespace=""):
    """An item for write(): see Operations.put."""
    item = messages.WriteItem()
    item.put.namespace, item.put.key, item.put.value = namespace, to_bytes(key), to_bytes(value)
    item.put.ttl_milliseconds = milliseconds(ttl)
    if if_absent + if_present + (if_version is not None) > 1:
        raise ValueError("at most one of if_absent, if_present and if_version")
    if if_absent:
        item.put.condition.absent = True
    elif if_present:
        item.put.condition.present = True
    elif if_version is not None:
        item.put.condition.version_equals = if_version
    return item


def Delete(key, *, if_version=None, namespace=""):
    """An item for write(): see Operations.delete."""
    item = messages.WriteItem()
    item.delete.namespace, item.delete.key = namespace, to_bytes(key)
    if if_version is not None:
        item.delete.condition.version_equals = if_version
    return item


def Increment(key, delta=1, *, ttl_on_creation=None, namespace=""):
    """An item for write(): see Operations.increment."""
    item = messages.WriteItem()
    item.increment.namespace, item.increment.key, item.increment.delta = namespace, to_bytes(key), delta
    item.increment.ttl_on_creation_milliseconds = milliseconds(ttl_on_creation)
    return item


def Touch(key, ttl, *, namespace=""):
    """An item for write(): see Operations.touch."""
    item = messages.WriteItem()
    item.touch.namespace, item.touch.key, item.touch.ttl_milliseconds = namespace, to_bytes(key), milliseconds(ttl)
    return item


def statement(sql, *parameters, names=()):
    """A statement with its parameters, for batch(). `names` (SQLite): one name a parameter, for :name."""
    return messages.Query(sql=sql, parameters=map(to_value, parameters), names=names)


def named(name, *parameters, names=()):
    """A statement of the sidecar's configuration by its name, for query(), stream() and batch()."""
    return messages.Query(statement=name, parameters=map(to_value, parameters), names=names)


def _key_range(range, prefix, start, end):
    range.prefix, range.start, range.end = to_bytes(prefix), to_bytes(start), to_bytes(end)


def _item_result(item):
    kind = item.WhichOneof("result")
    result = getattr(item, kind)
    return {"put": "version", "delete": "found", "increment": "value", "touch": "found"}[kind], result


class Operations:
    """Every operation takes these options by name:

    timeout          seconds, for this request; without it the client's
    backend          a configured backend's name; without it the client's, else the server's default
    idempotency_key  text of 1-255 bytes; a repeated write with it happens once and gets the first answer
    traceparent      W3C trace context
    cancellation     a prism.Cancellation, with which another thread can cancel this request

    Raises prism.Error. A write whose answer was too large to be kept and is replayed by its idempotency key answers None.
    """

    def _begin_call(self, request, timeout=None, backend=None, idempotency_key="", traceparent="", cancellation=None):
        raise NotImplementedError

    def _one(self, request, **options):
        """The only or last part of an answer."""
        answer = self._begin_call(request, **options)
        try:
            part = answer.next_part()
            while part.more:
                part = answer.next_part()
            return part
        finally:
            answer.close()

    # Key-value. Keys and values are bytes (or str, as UTF-8); times to live are seconds.

    def get(self, key, *, namespace="", **options):
        """The Entry under this key, or None."""
        request = messages.Request()
        request.get.namespace, request.get.key = namespace, to_bytes(key)
        result = self._one(request, **options).get
        return Entry(to_bytes(key), result.value, result.version, result.expires_at_milliseconds) if result.found else None

    def get_many(self, keys, *, namespace="", **options):
        """A list with an Entry or None for each key, in the order asked. At most 1,000 keys."""
        keys = list(map(to_bytes, keys))
        request = messages.Request(get_many=messages.GetMany(namespace=namespace, keys=keys))
        results = self._one(request, **options).get_many.entries
        return [Entry(key, result.value, result.version, result.expires_at_milliseconds) if result.found else None
                for key, result in zip(keys, results)]

    def put(self, key, value, *, ttl=None, if_absent=False, if_present=False, if_version=None, namespace="", **options):
        """Sets a value and answers its version. A condition that does not hold raises FailedPrecondition."""
        item = Put(key, value, ttl=ttl, if_absent=if_absent, if_present=if_present, if_version=if_version,
                   namespace=namespace)
        response = self._one(messages.Request(put=item.put), **options)
        return response.put.version if response.HasField("put") else None

    def delete(self, key, *, if_version=None, namespace="", **options):
        """Whether the entry was there."""
        response = self._one(messages.Request(delete=Delete(key, if_version=if_version, namespace=namespace).delete), **options)
        return response.delete.found if response.HasField("delete") else None

    def increment(self, key, delta=1, *, ttl_on_creation=None, namespace="", **options):
        """Adds to a 64-bit integer kept as decimal text (0 if not there) and answers the sum."""
        item = Increment(key, delta, ttl_on_creation=ttl_on_creation, namespace=namespace)
        response = self._one(messages.Request(increment=item.increment), **options)
        return response.increment.value if response.HasField("increment") else None

    def touch(self, key, ttl, *, namespace="", **options):
        """Sets the time to live (None: removes it) and answers whether the entry was there."""
        response = self._one(messages.Request(touch=Touch(key, ttl, namespace=namespace).touch), **options)
        return response.touch.found if response.HasField("touch") else None

    def write(self, items, **options):
        """Carries out prism.Put, Delete, Increment and Touch items, all or nothing.

        Answers a list: a put's version, a delete's or touch's found, an increment's value.
        """
        response = self._one(messages.Request(write=messages.Write(items=items)), **options)
        if not response.HasField("write"):
            return None
        return [getattr(result, field) for field, result in map(_item_result, response.write.items)]

    def scan(self, prefix=b"", *, start=b"", end=b"", reverse=False, limit=0, cursor=b"", keys_only=False, namespace="",
             **options):
        """A Scan: iterates over the entries in key order as they arrive; close it (or use `with`) to stop early."""
        request = messages.Request()
        scan = request.scan
        scan.namespace, scan.reverse, scan.keys_only, scan.limit, scan.cursor = namespace, reverse, keys_only, limit, cursor
        _key_range(scan.range, prefix, start, end)
        return Scan(self._begin_call(request, **options))

    def count(self, prefix=b"", *, start=b"", end=b"", namespace="", **options):
        request = messages.Request()
        request.count.namespace = namespace
        _key_range(request.count.range, prefix, start, end)
        return self._one(request, **options).count.count

    # SQL

    def query(self, sql, *parameters, names=(), read_only=False, **options):
        """Runs a statement with parameters for $1, $2 … and answers a Result with all its rows.

        `sql` is SQL, or a statement of prism.named or prism.statement, which has its parameters already.
        """
        stream = self.stream(sql, *parameters, names=names, read_only=read_only, **options)
        rows = list(stream)
        return Result(stream.columns, rows, stream.tag, stream.rows_affected, stream.replayed)

    def stream(self, sql, *parameters, names=(), read_only=False, **options):
        """A Rows: iterates over the rows as they arrive; the timeout covers all of it.

        Other requests of this client go on meanwhile, but what arrives of an unread stream is kept in memory (64 MiB at
        most): read it out soon, or use another client for it.
        """
        query = statement(sql, *parameters, names=names) if isinstance(sql, str) else sql
        request = messages.Request(query=query, read_only=read_only)
        return Rows(self._begin_call(request, **options))

    def batch(self, statements, *, parameter_sets=None, read_only=False, **options):
        """Runs several statements (prism.statement or plain SQL) as one atomic unit and answers a list of Results.

        With parameter_sets, `statements` is one statement's SQL, run once with each set. At most 1,000 executions.
        """
        request = messages.Request(read_only=read_only)
        if parameter_sets is not None:
            request.batch.statements.add(sql=statements)
            for parameters in parameter_sets:
                request.batch.parameter_sets.add(parameters=map(to_value, parameters))
        else:
            request.batch.statements.extend(
                messages.Query(sql=one) if isinstance(one, str) else one for one in statements)
        response = self._one(request, **options)
        return [Result(columns_of(result), rows_of(result), result.tag, result.rows_affected, response.replayed)
                for result in response.batch.results]


class _Stream:
    def __init__(self, answer):
        self._answer = answer
        self._ended = False
        # The answer of an earlier request with the same idempotency key.
        self.replayed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the stream early; the server is told to cancel it."""
        self._ended = True
        self._answer.close()

    def _parts(self):
        try:
            while not self._ended:
                part = self._answer.next_part()
                self._ended = not part.more
                self.replayed = part.replayed
                yield part
        finally:
            self.close()

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._items)


class Scan(_Stream):
    def __init__(self, answer):
        super().__init__(answer)
        # After the end: where another scan goes on when the limit ended this one; empty: there is no more.
        self.cursor = b""
        self._items = self._entries()

    def _entries(self):
        for part in self._parts():
            self.cursor = part.scan.cursor
            for entry in part.scan.entries:
                yield Entry(entry.key, entry.value, entry.version, entry.expires_at_milliseconds)


class Rows(_Stream):
    def __init__(self, answer):
        super().__init__(answer)
        self._columns = None
        self.tag = ""
        self.rows_affected = 0
        self._waiting = []
        self._items = self._rows()
        self._query_parts = self._parts()

    @property
    def columns(self):
        """Waits for the first part of the answer."""
        if self._columns is None:
            self._next_rows()
        return self._columns or ()

    def _next_rows(self):
        part = next(self._query_parts, None)
        if part is None:
            return False
        if self._columns is None:
            self._columns = columns_of(part.query)
        self._waiting.append(rows_of(part.query))
        self.tag = part.query.tag or self.tag
        self.rows_affected = part.query.rows_affected or self.rows_affected
        return True

    def _rows(self):
        while self._waiting or self._next_rows():
            yield from self._waiting.pop(0)
