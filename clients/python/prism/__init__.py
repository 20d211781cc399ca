"""Prism from Python: one Unix socket for key-value and SQL. See clients/python/README.md."""

from .client import Cancellation, Client, connect, default_paths
from .errors import (
    Aborted, AlreadyExists, Cancelled, ConnectionLost, DataLoss, DeadlineExceeded, Error, FailedPrecondition, Internal,
    InvalidArgument, NotFound, OutOfRange, PermissionDenied, ResourceExhausted, Unavailable, Unimplemented)
from .operations import Delete, Increment, Put, Touch, named, statement
from .retry import retry
from .transaction import Transaction
from .values import Column, Entry, Result, Typed

__all__ = [
    "connect", "default_paths", "retry", "named", "statement", "Client", "Transaction", "Cancellation",
    "Put", "Delete", "Increment", "Touch", "Column", "Entry", "Result", "Typed",
    "Error", "Aborted", "AlreadyExists", "Cancelled", "ConnectionLost", "DataLoss", "DeadlineExceeded",
    "FailedPrecondition", "Internal", "InvalidArgument", "NotFound", "OutOfRange", "PermissionDenied",
    "ResourceExhausted", "Unavailable", "Unimplemented",
]
