"""Steps that need a strong lock for a moment: tried a few times with pauses, so that nobody stands behind them long."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from queen import errors
from queen.engine.stats import Counters

_TRIES_MAX = 4
_PAUSE_S_MAX = 0.3

T = TypeVar("T")


async def with_short_locks(step: Callable[[], Awaitable[T]], counters: Counters) -> T | None:
    """What the step returns, or None when its locks were not to be had; the next tick tries again."""
    for number in range(_TRIES_MAX):
        if number:
            await asyncio.sleep(random.uniform(_PAUSE_S_MAX / 6, _PAUSE_S_MAX))
        try:
            return await step()
        except errors.Contention:
            counters.upkeep_lock_timeouts += 1
    return None
