"""The arena of a real run, put together from its parts. Knows their shapes only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from queen.bench.faults.arena import ArenaDatabase, ArenaServer, StopMode
from queen.bench.orders import Order
from queen.errors import ConsentNeeded


@dataclass(frozen=True, slots=True)
class KnownDatabase:
    """A database that is reached by its address alone; the process behind it is not ours."""

    dsn: str
    schema: str

    async def restart(self, mode: StopMode) -> None:
        """Always raises ConsentNeeded."""
        raise ConsentNeeded("this PostgreSQL is not the bench's own, so it is not restarted")


@dataclass(frozen=True, slots=True)
class RunArena:
    """`begin_ns`: when measuring began, by `time.perf_counter_ns`; `order` is `Crew.send`."""

    servers: Sequence[ArenaServer]
    database: ArenaDatabase | None
    workers: int
    begin_ns: int
    order: Callable[[Order, int | None], Awaitable[None]]

    def now_s(self) -> float:
        return (time.perf_counter_ns() - self.begin_ns) / 1e9

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def send(self, order: Order, worker: int | None = None) -> None:
        await self.order(order, worker)
