"""Reads the bodies of seek and subscription calls, by http-api.md §6."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from queen import errors, wire

NEITHER: Final = "Must specify toEnd=true or a timestamp"

SEEK_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "description": 'One of the two. On a partition, an empty body means {"toEnd": true}.',
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "toEnd": {"type": ["boolean", "null"], "description": "Behind the last message."},
                        "timestamp": {
                            "type": ["string", "null"],
                            "description": "To the first message stored at or after this time; ISO 8601, UTC without a"
                            " zone.",
                        },
                    },
                },
                "example": {"timestamp": "2026-01-31T12:00:00Z"},
            }
        },
    }
}

SUBSCRIPTION_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["subscriptionTimestamp"],
                    "properties": {
                        "subscriptionTimestamp": {"type": "string", "description": "ISO 8601, UTC without a zone."}
                    },
                },
                "example": {"subscriptionTimestamp": "2026-01-31T12:00:00Z"},
            }
        },
    }
}


def read_seek(body: bytes, *, empty_is_end: bool) -> datetime | None:
    """Where to: a time, or None for the end. Raises InvalidRequest for neither, both, and what is no time."""
    found = wire.decode_object(body) if body.strip() else {}
    to_end = found.get("toEnd")
    if to_end is not None and not isinstance(to_end, bool):
        raise errors.InvalidRequest("bad body: toEnd must be true or false", hint='for example {"toEnd": true}')
    at = _time(found, "timestamp")
    if to_end and at is not None:
        raise errors.InvalidRequest("bad body: toEnd and timestamp exclude each other", hint="leave one of them out")
    if not to_end and at is None and not (empty_is_end and not found):
        raise errors.InvalidRequest(NEITHER, hint='for example {"toEnd": true}')
    return at


def read_subscription(body: bytes) -> datetime:
    """From when on untouched partitions are read. Raises InvalidRequest for a missing time, and what is no time."""
    at = _time(wire.decode_object(body) if body.strip() else {}, "subscriptionTimestamp")
    if at is None:
        raise errors.InvalidRequest(
            "subscriptionTimestamp is required", hint='for example {"subscriptionTimestamp": "2026-01-31T12:00:00Z"}'
        )
    return at


def _time(body: dict[str, Any], name: str) -> datetime | None:
    text = body.get(name)
    if text is None or text == "":
        return None
    at = wire.parse_time(text) if isinstance(text, str) else None
    try:
        if at is not None:
            return at.astimezone(UTC)
    except OverflowError:  # Its zone takes it out of the years 1 to 9999.
        pass
    raise errors.InvalidRequest(f"bad body: {name} must be an ISO 8601 time", hint="for example 2026-01-31T12:00:00Z")
