"""What can go wrong, and what is known about the effects."""

from ._messages import messages


class Error(Exception):
    """A request that did not end with OK.

    code         gRPC's canonical name, such as "FAILED_PRECONDITION"
    stage        where it ended: "DECODE", "ADMISSION", "QUEUE", "CONNECT", "EXECUTE", "STREAM" or "UNSPECIFIED"
    outcome      of its effects: "NOT_EXECUTED" (a promise: nothing of it remains), "EXECUTED" or "UNKNOWN"
    retryable    whether sending the same request again can succeed; then wait retry_after (seconds) first
    sqlstate, sqlite_code, position, detail, hint    as the database gave them
    current_version    of the entry whose condition did not hold (0: it is not there)
    item         of a write or batch: which one failed, counted from 1 (0: none in particular)
    """

    code = "UNKNOWN"

    def __init__(self, message, *, code=None, stage="UNSPECIFIED", outcome="UNKNOWN", retryable=False, retry_after=0.0,
                 sqlstate="", sqlite_code=0, current_version=0, item=0, position=0, detail="", hint=""):
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.stage = stage
        self.outcome = outcome
        self.retryable = retryable
        self.retry_after = retry_after
        self.sqlstate = sqlstate
        self.sqlite_code = sqlite_code
        self.current_version = current_version
        self.item = item
        self.position = position
        self.detail = detail
        self.hint = hint

    def __str__(self):
        more = "".join(f"; {text}" for text in (self.detail, self.hint) if text)
        return f"{self.code} ({self.stage.lower()}, {self.outcome}): {self.message}{more}"


class Cancelled(Error):
    code = "CANCELLED"


class InvalidArgument(Error):
    code = "INVALID_ARGUMENT"


class DeadlineExceeded(Error):
    code = "DEADLINE_EXCEEDED"


class NotFound(Error):
    code = "NOT_FOUND"


class AlreadyExists(Error):
    code = "ALREADY_EXISTS"


class PermissionDenied(Error):
    code = "PERMISSION_DENIED"


class ResourceExhausted(Error):
    code = "RESOURCE_EXHAUSTED"


class FailedPrecondition(Error):
    code = "FAILED_PRECONDITION"


class Aborted(Error):
    code = "ABORTED"


class OutOfRange(Error):
    code = "OUT_OF_RANGE"


class Unimplemented(Error):
    code = "UNIMPLEMENTED"


class Internal(Error):
    code = "INTERNAL"


class Unavailable(Error):
    code = "UNAVAILABLE"


class DataLoss(Error):
    code = "DATA_LOSS"


class ConnectionLost(Unavailable):
    """The connection ended before the answer came. A request that had been sent whole has outcome "UNKNOWN"."""


_BY_CODE = {kind.code: kind for kind in (
    Cancelled, InvalidArgument, DeadlineExceeded, NotFound, AlreadyExists, PermissionDenied, ResourceExhausted,
    FailedPrecondition, Aborted, OutOfRange, Unimplemented, Internal, Unavailable, DataLoss)}


def _name(enum, number, prefix=""):
    # A newer server may know numbers that this client does not.
    try:
        return enum.Name(number)[len(prefix):]
    except ValueError:
        return str(number)


def error_from(response):
    """The Error that a Response with a status other than OK stands for."""
    failure = response.failure
    code = _name(messages.Code, response.status)
    outcome = _name(messages.Outcome, failure.outcome, "OUTCOME_")
    return _BY_CODE.get(code, Error)(
        failure.message or "no message was given",
        code=code,
        stage=_name(messages.Stage, failure.stage, "STAGE_"),
        # What is not said is not known.
        outcome=outcome if outcome in ("NOT_EXECUTED", "EXECUTED") else "UNKNOWN",
        retryable=failure.retryable,
        retry_after=failure.retry_after_microseconds / 1e6,
        sqlstate=failure.sqlstate,
        sqlite_code=failure.sqlite_code,
        current_version=failure.current_version,
        item=failure.item,
        position=failure.position,
        detail=failure.detail,
        hint=failure.hint,
    )
