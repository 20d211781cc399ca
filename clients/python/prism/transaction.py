"""An interactive transaction."""

import os

from ._messages import messages
from .errors import Error, FailedPrecondition
from .operations import Operations


class Transaction(Operations):
    """An open transaction. As a context manager it commits on success and rolls back on an exception.

    It belongs to this process and connection, and its requests run one after another. Any error on it, a condition that
    does not hold included, leaves only rollback(), or rollback_to() where possible. A connection lost before the commit
    was sent is told as NOT_EXECUTED: the server has rolled back.
    """

    def __init__(self, client, connection, handle, idempotency_key):
        self._client = client
        self._connection = connection
        self._handle = handle
        self._idempotency_key = idempotency_key
        self.ended = False
        # The idempotency key was already recorded: an earlier attempt had committed, and this one was rolled back.
        self.replayed = False

    def _begin_call(self, request, **options):
        if not self._ours:
            raise FailedPrecondition("this transaction was begun before the fork; it belongs to the parent process",
                                     stage="ADMISSION", outcome="NOT_EXECUTED")
        if self.ended:
            raise FailedPrecondition("this transaction has ended", stage="ADMISSION", outcome="NOT_EXECUTED")
        request.transaction = self._handle
        return self._client._begin_on(self._connection, request, **options)

    @property
    def _ours(self):
        return self._connection.process == os.getpid()

    def savepoint(self, name, **options):
        self._one(messages.Request(savepoint=messages.Savepoint(name=name)), **options)

    def rollback_to(self, name, **options):
        self._one(messages.Request(rollback_to=messages.RollbackTo(name=name)), **options)

    def commit(self, **options):
        """Raises prism.Error, whose outcome says whether the transaction's effects remain."""
        options.setdefault("idempotency_key", self._idempotency_key)
        self.replayed = self._one(messages.Request(commit=messages.Commit()), **options).replayed
        self.ended = True

    def rollback(self, **options):
        if not self.ended:
            try:
                self._one(messages.Request(rollback=messages.Rollback()), **options)
            finally:
                self.ended = True

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            if not self.ended:
                try:
                    self.commit()
                except BaseException:
                    self._rollback_quietly()
                    raise
        elif self._ours:  # a forked child that leaves the block must not end its parent's transaction
            self._rollback_quietly()

    def _rollback_quietly(self):
        try:
            self.rollback()
        except Error:
            pass  # the server rolls back what a lost connection or a reached limit leaves behind
