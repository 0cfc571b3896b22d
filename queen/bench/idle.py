"""Partitions that exist and are empty: one message each, pushed and consumed to the end before the clock starts.

Few large calls by hand, before any worker consumes; no ledger sees them. Knows no run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode

from queen.bench.http_call import call
from queen.errors import ServerFailed

PUSH_MESSAGES = 1_000
_TIMEOUT_S = 60.0


async def make(url: str, queue: str, groups: Sequence[str], count: int, check: Callable[[], None]) -> None:
    """`check` is called between calls and may raise. Raises QueenError, and ServerFailed when not all were consumed."""
    for start in range(0, count, PUSH_MESSAGES):
        check()
        numbers = range(start, min(start + PUSH_MESSAGES, count))
        items = [{"queue": queue, "partition": f"idle-{number}", "payload": {}} for number in numbers]
        await call(url, "POST", "/api/v1/push", {"items": items}, timeout_s=_TIMEOUT_S)
        for group in groups:
            await _consume(url, queue, group, len(items), check)


async def _consume(url: str, queue: str, group: str, count: int, check: Callable[[], None]) -> None:
    """Several pops may be needed: one gathers from as many partitions as the server allows."""
    query: dict[str, str | int] = {"batch": PUSH_MESSAGES, "partitions": PUSH_MESSAGES, "autoAck": "true"}
    query |= {"wait": "true", "timeout": 5_000}
    if group:
        query["consumerGroup"] = group
    path, left = f"/api/v1/pop/queue/{quote(queue, safe='')}?{urlencode(query)}", count
    while left > 0:
        check()
        found = await call(url, "GET", path, timeout_s=_TIMEOUT_S)
        messages = len((found or {}).get("messages", ()))
        if not messages:
            raise ServerFailed(f"{left} messages of idle partitions could not be consumed")
        left -= messages
