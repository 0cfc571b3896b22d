"""The queue of a run: fresh, of its own, and gone afterwards. Knows its name and the control routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from queen.bench.ask import Ask
from queen.bench.http_call import call, queue_path
from queen.bench.target import System
from queen.errors import QueenError

_REMOVE_S = 30.0


@asynccontextmanager
async def own_queue(system: System, queue: str, ask: Ask, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Made now, and removed afterwards from a database that stays."""
    url = system.urls[0]
    options = {"leaseTime": ask.workload.lease_s}
    await call(url, "POST", "/api/v1/configure", {"queue": queue, "options": options})
    try:
        yield
    finally:
        if system.database is None and not ask.keep:
            await asyncio.shield(_remove(url, queue, say))


async def dead_letters(url: str, queue: str) -> int:
    """How many messages were given up; 0 when the server does not say."""
    try:
        found = await call(url, "GET", f"/api/v1/dlq?queue={queue}&limit=1")
        return int(found["total"])
    except (QueenError, KeyError, TypeError, ValueError):
        return 0


async def _remove(url: str, queue: str, say: Callable[[str], None]) -> None:
    try:
        await call(url, "DELETE", queue_path(queue), timeout_s=_REMOVE_S)
    except QueenError as error:
        say(f"the queue {queue} could not be removed: {error.message}")
