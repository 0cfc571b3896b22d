"""Several engines over one store that hear one another, for the tests of what servers tell each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from queen.engine.engine import Engine
from tests.support.builders import open_engine
from tests.support.fake_clock import settle
from tests.support.memory_store import MemoryStore

JOINED_S = 5.0
"""By then every engine knows of every other, and has looked at everything once more."""


@asynccontextmanager
async def open_cluster(
    store: MemoryStore, count: int = 2, *, deaf: bool = False, **settings: Any
) -> AsyncIterator[list[Engine]]:
    """Engines that run and know of each other. Backstops are far away; `deaf` ones must read announcements."""
    async with AsyncExitStack() as stack:
        engines = []
        for _ in range(count):
            engine = await stack.enter_async_context(
                open_engine(store, loops=True, **{"sweep_ms": 600_000, **settings})
            )
            if not deaf:
                store.ears.append(engine.hearing.heard)
                stack.callback(store.ears.remove, engine.hearing.heard)
                engine.hearing.up()
            engines.append(engine)
        await asyncio.sleep(JOINED_S)
        await settle()
        yield engines


def elapsed(since: float) -> float:
    """Seconds of the loop's clock since then."""
    return asyncio.get_running_loop().time() - since


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()
