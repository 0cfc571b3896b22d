"""From a refused HTTP answer to a class of `queen.errors`, with the server's text, code and hint kept.

Knows statuses and error bodies (always an object with `error`, mostly with `code` and `hint`); sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from queen.errors import (
    AccessDenied,
    BodyTooLarge,
    InvalidRequest,
    NotFound,
    Overloaded,
    QueenError,
    ServerFailed,
    ShuttingDown,
    StoreUnavailable,
)

_TEXT_LENGTH_MAX = 300
_RETRY_AFTER_MS_MAX = 60_000


class _ErrorBody(msgspec.Struct):
    error: str
    code: str | None = None
    hint: str | None = None


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> QueenError:
    """The error that a non-2xx answer stands for, ready to be raised."""
    told = _read(status, body)
    error = _build(status, told, _retry_after_ms(headers.get("retry-after")))
    if told.code:
        error.code = told.code
    return error


def _build(status: int, told: _ErrorBody, retry_after_ms: int | None) -> QueenError:
    text, hint = told.error, told.hint
    if status == 503 and told.code in (StoreUnavailable.code, "pool_timeout"):
        return StoreUnavailable(text, hint=hint, retry_after_ms=retry_after_ms or 1000)
    if status == 503 and told.code == ShuttingDown.code:
        return ShuttingDown(text, hint=hint, retry_after_ms=retry_after_ms or 1000)
    if status in (429, 503):
        return Overloaded(text, hint=hint, retry_after_ms=retry_after_ms or 1000)
    if status >= 500:
        return ServerFailed(text, hint=hint)
    return _refusal(status)(text, hint=hint)


def _refusal(status: int) -> type[QueenError]:
    """The class of an answer that a repetition cannot change."""
    if status in (401, 403):
        return AccessDenied
    if status == 413:
        return BodyTooLarge
    return NotFound if status == 404 else InvalidRequest


def _read(status: int, body: bytes) -> _ErrorBody:
    """The error object, or, when something else than Queen answered, what can be shown of it."""
    try:
        return msgspec.json.decode(body, type=_ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = " ".join(body[:_TEXT_LENGTH_MAX].decode("utf-8", "replace").split())
        return _ErrorBody(f"the server answered {status}" + (f": {text}" if text else ""))


def _retry_after_ms(value: str | None) -> int | None:
    """Milliseconds of a Retry-After in seconds, decimals allowed; the form with a date counts as absent."""
    try:
        seconds = float(value) if value else 0.0
    except ValueError:
        return None
    return min(int(seconds * 1000), _RETRY_AFTER_MS_MAX) if seconds > 0 else None
