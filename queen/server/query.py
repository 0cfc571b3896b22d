"""Query strings and path segments of the hot routes, read from raw bytes by the rules of http-api.md §2.2 and §2.3."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from queen import errors, wire
from queen.engine.engine import PopQuery
from queen.settings import EngineSettings

_TRUE = frozenset(("true", "1", "yes"))
_FALSE = frozenset(("false", "0", "no"))
_INT_DIGITS_MAX = 18
_EARLY_SHARE, _EARLY_MS_MAX = 0.05, 250


def text(raw: bytes) -> str:
    """One percent-encoded piece as text. Raises InvalidRequest when it is not UTF-8."""
    try:
        return (unquote_to_bytes(raw) if b"%" in raw else raw).decode()
    except UnicodeDecodeError as error:
        raise errors.InvalidRequest("bad path or query: not UTF-8", hint="percent-encode names as UTF-8") from error


def parse(raw: bytes) -> dict[str, str]:
    """A query string; the last of equal names wins."""
    found: dict[str, str] = {}
    for pair in raw.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            found[text(name.replace(b"+", b" "))] = text(value.replace(b"+", b" "))
    return found


def push_defaults(raw: bytes) -> tuple[str | None, str | None]:
    """(queue, partition) for the lines of a streamed push that name none."""
    given = parse(raw)
    queue, partition = given.get("queue"), given.get("partition") or None
    return (
        wire.check_name("queue", queue, "query") if queue is not None else None,
        wire.check_name("partition", partition, "query") if partition is not None else None,
    )


def pop_query(queue: str | None, partition: str | None, raw: bytes, settings: EngineSettings) -> PopQuery:
    """What a pop asks for, with defaults and caps applied. Raises InvalidRequest for an unreadable parameter."""
    given = parse(raw)
    lease_s = min(_integer(given, "leaseSeconds", 0), settings.lease_seconds_max)
    mode, start_at = _subscription(given, settings.subscription_mode_default)
    return PopQuery(
        queue=wire.check_name("queue", queue, "path") if queue is not None else None,
        partition=wire.check_name("partition", partition, "path") if partition is not None else None,
        namespace=wire.check_name("namespace", given.get("namespace", ""), "query") if queue is None else None,
        task=wire.check_name("task", given.get("task", ""), "query") if queue is None else None,
        group=wire.group_name(given.get("consumerGroup")),
        batch=min(max(1, _integer(given, "batch", settings.pop_batch_default)), settings.pop_batch_max),
        partitions=_integer(given, "partitions", 1),
        auto_ack=_boolean(given, "autoAck"),
        wait_ms=_wait_ms(given, settings),
        lease_ms=lease_s * 1000 if lease_s > 0 else None,
        mode=mode,
        start_at=start_at,
    )


def _wait_ms(given: dict[str, str], settings: EngineSettings) -> int:
    timeout_ms = min(max(0, _integer(given, "timeout", settings.pop_wait_ms_default)), settings.pop_wait_ms_max)
    if not _boolean(given, "wait"):
        return 0
    # Some clients give up at exactly their time-out: answer a little before it.
    return max(0, timeout_ms - min(_EARLY_MS_MAX, int(timeout_ms * _EARLY_SHARE)))


def _subscription(given: dict[str, str], default: str) -> tuple[str, str | None]:
    """(mode, start time): a readable time wins over the mode, an unreadable one counts as absent."""
    start = given.get("subscriptionFrom", "")
    if start.lower() == "now":
        return "new", None
    if start:
        at = wire.parse_time(start)
        if at is not None:
            return "timestamp", at.isoformat()
    mode = given.get("subscriptionMode") or default
    return ("new" if mode in ("new", "new-only") else "all"), None


def _integer(given: dict[str, str], name: str, default: int) -> int:
    value = given.get(name, "")
    if not value:
        return default
    digits = value[1:] if value[0] in "+-" else value
    if not digits.isdecimal() or not digits.isascii() or len(digits) > _INT_DIGITS_MAX:
        raise errors.InvalidRequest(f"bad query: {name} must be an integer", hint=f"for example {name}={default}")
    return int(value)


def _boolean(given: dict[str, str], name: str) -> bool:
    value = given.get(name, "").lower()
    if value in _TRUE:
        return True
    if not value or value in _FALSE:
        return False
    raise errors.InvalidRequest(f"bad query: {name} must be true or false", hint="also 1, yes, 0, no")
