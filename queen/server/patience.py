"""Repeats calls of the control plane that PostgreSQL gave up because several waited for each other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from queen import errors

_TRIES_MAX = 4
_PAUSE_S = 0.1

T = TypeVar("T")


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """What the call returns. Raises Contention when it met other work again and again; nothing of it was kept."""
    for _ in range(_TRIES_MAX - 1):
        try:
            return await call()
        except errors.Contention:
            await asyncio.sleep(random.uniform(0, _PAUSE_S))
    return await call()
