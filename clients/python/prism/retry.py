"""Trying again, where that is safe."""

import random
import time

from .errors import Error

_PASSING = ("ABORTED", "RESOURCE_EXHAUSTED", "UNAVAILABLE")


def retry(function, *, seconds=10.0, idempotent=False):
    """Calls function() until it succeeds, fails for good, or `seconds` have passed.

    It is called again after ABORTED, RESOURCE_EXHAUSTED and UNAVAILABLE with outcome NOT_EXECUTED. With idempotent=True
    (it only reads, or every write in it carries an idempotency key or a condition) also after these and DEADLINE_EXCEEDED
    with an unknown outcome. Between calls it waits as long as the server says, at least a growing, random while.
    """
    end = time.monotonic() + seconds
    pause = 0.002
    while True:
        try:
            return function()
        except Error as error:
            safe = error.code in _PASSING and error.outcome == "NOT_EXECUTED"
            if idempotent:
                safe = safe or error.outcome == "UNKNOWN" and error.code in _PASSING + ("DEADLINE_EXCEEDED", "CANCELLED")
            wait = max(error.retry_after, random.uniform(0, pause))
            if not safe or time.monotonic() + wait > end:
                raise
        time.sleep(wait)
        pause = min(pause * 2, 0.5)
