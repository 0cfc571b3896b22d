"""Errors as responses: one table from class to status, one shape of body for all."""

from __future__ import annotations

import math

from queen import errors
from queen.wire import encode

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]

JSON_TYPE: Headers = [(b"content-type", b"application/json")]

# The first class that fits decides, so subclasses stand before their parents.
_STATUS: list[tuple[type[errors.QueenError], int]] = [
    (errors.BodyTooLarge, 413),
    (errors.PayloadTooLarge, 413),
    (errors.InvalidRequest, 400),
    (errors.NotFound, 404),
    (errors.QueueFull, 429),
    (errors.Overloaded, 503),
    (errors.PayloadSealed, 503),
    (errors.StoreUnavailable, 503),
    (errors.Contention, 503),
    (errors.SchemaMismatch, 503),
    (errors.AccessDenied, 503),
]

# Public consumers take a failure for a passing one by this word in its text, whatever the status: any other that lasts
# longer than their three tries ends them.
_PASSING = "connection"


def status_of(error: errors.QueenError) -> int:
    """The HTTP status that says what this error says."""
    return next((status for cls, status in _STATUS if isinstance(error, cls)), 500)


def respond(error: errors.QueenError) -> Answer:
    """A response for an error: status, headers, JSON body with error, code and hint."""
    status = status_of(error)
    headers = list(JSON_TYPE)
    message = error.message
    if status == 503 and _PASSING not in message:
        message += "; keep the connection and try again"
    if status in (429, 503):
        retry_after_s = max(1, math.ceil(getattr(error, "retry_after_ms", 1000) / 1000))
        headers.append((b"retry-after", str(retry_after_s).encode()))
    return status, headers, body(message, error.code, error.hint)


def body(message: str, code: str, hint: str | None = None) -> bytes:
    """The JSON body of every error."""
    return encode(_content(message, code, hint))


def content(error: errors.QueenError) -> dict[str, str]:
    """An error as an object inside an answer that is none."""
    return _content(error.message, error.code, error.hint)


def _content(message: str, code: str, hint: str | None) -> dict[str, str]:
    found = {"error": message, "code": code}
    if hint:
        found["hint"] = hint
    return found
