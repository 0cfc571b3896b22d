"""What faults may lay hands on in a run: its system and its crew. Shape: `faults.arena.Arena`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from queen.bench.faults.arena import ArenaDatabase, ArenaServer
from queen.bench.orders import Order
from queen.bench.session import Session
from queen.bench.target import System


class NamedDatabase:
    """A database that is not ours: faults may open sessions to it, and may not restart it."""

    schema = "queen"

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    async def restart(self, mode: str) -> None:
        raise LookupError("chaos.check_allowed lets nobody restart a foreign PostgreSQL")


class Stage:
    """The arena of one run. `now_s` counts from the beginning of measuring."""

    def __init__(self, system: System, session: Session, workers: int, now_s: Callable[[], float]) -> None:
        self._system, self._session = system, session
        self.workers = workers
        self.now_s = now_s

    @property
    def servers(self) -> Sequence[ArenaServer]:
        return self._system.servers

    @property
    def database(self) -> ArenaDatabase | None:
        if self._system.database is not None:
            return self._system.database
        return None if self._system.dsn is None else NamedDatabase(self._system.dsn)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def send(self, order: Order, worker: int | None = None) -> None:
        await self._session.send(order, worker)
