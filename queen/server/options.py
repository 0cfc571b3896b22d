"""Reads the body of a configure call: types and ranges of the queue options, by http-api.md §5.1 and §5.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from queen import errors, wire

_INT_MAX = 2**31 - 1
_INTEGERS = frozenset(
    ("leaseTime", "retryLimit", "retryDelay", "priority", "maxSize", "ttl", "delayedProcessing", "windowBuffer",
     "minPopWaitTime", "retentionSeconds", "completedRetentionSeconds", "maxWaitTimeSeconds", "dedupWindowSeconds",
     "retentionSinkHoldMaxSeconds")
)  # fmt: skip
_BOOLEANS = frozenset(("deadLetterQueue", "dlqAfterMaxRetries", "retentionEnabled", "encryptionEnabled"))
_TEXTS = frozenset(("retentionSinkHold",))
_LOW = {"leaseTime": 1}
_HIGH = {"leaseTime": 86_400, "minPopWaitTime": 60_000, "dedupWindowSeconds": 604_800}


@dataclass(slots=True)
class Configure:
    """What a configure call asks for; `options` holds only what it names, null for "back to the default"."""

    queue: str
    namespace: str | None
    task: str | None
    replace: bool
    options: dict[str, Any]


def read(body: dict[str, Any]) -> Configure:
    """The call's parts. Raises InvalidRequest for wrong types and values; unknown option names are ignored."""
    queue = body.get("queue")
    if not isinstance(queue, str):
        raise errors.InvalidRequest("bad body: queue must be a string", hint='for example {"queue": "orders"}')
    mode = body.get("mode")
    if mode is None:
        mode = "merge"
    if mode not in ("merge", "replace"):
        raise errors.InvalidRequest("bad body: mode must be merge or replace", hint="leave it out to merge")
    options = body.get("options")
    if options is None:
        options = body
    if not isinstance(options, dict):
        raise errors.InvalidRequest("bad body: options must be an object", hint='for example {"leaseTime": 60}')
    return Configure(
        wire.check_name("queue", queue, "$.queue"),
        _text(body, options, "namespace"),
        _text(body, options, "task"),
        mode == "replace",
        {name: _value(name, value) for name, value in options.items() if name in _INTEGERS | _BOOLEANS | _TEXTS},
    )


def _text(body: dict[str, Any], options: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None:
        value = options.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise errors.InvalidRequest(f"bad body: {name} must be a string", hint="leave it out to keep it")
    return wire.check_name(name, value, f"$.{name}")


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _BOOLEANS:
        if isinstance(value, bool):
            return value
        raise errors.InvalidRequest(f"bad body: {name} must be true or false", hint="null restores the default")
    if name in _TEXTS:
        if isinstance(value, str):
            return wire.check_name(name, value, f"$.options.{name}")
        raise errors.InvalidRequest(f"bad body: {name} must be a string", hint="null restores the default")
    return _integer(name, value)


def _integer(name: str, value: Any) -> int:
    low, high = _LOW.get(name, 0), _HIGH.get(name, _INT_MAX)
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value and value % 1 == 0
    if not whole or not low <= value <= _INT_MAX:
        raise errors.InvalidRequest(
            f"bad body: {name} must be a whole number from {low} to {high}", hint="null restores the default"
        )
    if value > high and name != "minPopWaitTime":
        raise errors.InvalidRequest(
            f"bad body: {name} must be a whole number from {low} to {high}", hint="null restores the default"
        )
    return min(int(value), high)
