"""Two ways to end tasks that the client uses. Knows nothing of queues."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


async def cancel(task: asyncio.Future[Any]) -> None:
    """Cancel and wait for the end, whatever it is: the caller has its own outcome already."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def race(work: Coroutine[Any, Any, _Result], stop: asyncio.Event, grace_s: float = 0.0) -> _Result | None:
    """The result of `work`, or None when `stop` is set first: `work` is then cancelled, `grace_s` seconds later."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if grace_s:
            await asyncio.wait({task}, timeout=grace_s)
        return task.result() if task.done() else None
    finally:
        stopped.cancel()
        await cancel(task)
