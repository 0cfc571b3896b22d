"""Small periodic work of one server: rate samples, a look at a set in use now and then, forgetting what nobody uses."""

from __future__ import annotations

import asyncio

from queen.engine.catalog import Catalog
from queen.engine.ready import ReadySet
from queen.engine.stats import Stats
from queen.engine.sweep import Sweeper
from queen.store.base import Store

IN_USE_S = 60.0
_FORGET_AFTER_S = 600.0
_LEASE_ROWS_KEPT_S = 3600


class Housekeeping:
    """The ticks of the housekeeping loops."""

    def __init__(self, store: Store, catalog: Catalog, sweeper: Sweeper, stats: Stats) -> None:
        self._store = store
        self._catalog = catalog
        self._sweeper = sweeper
        self._stats = stats
        self._round: list[ReadySet] = []

    async def sample(self) -> None:
        """Once a second: what the rates are made of."""
        self._stats.sample()

    async def sweep(self) -> None:
        """One page of one set in use, all of them by turns: work that no announcement told of is found in the end."""
        if not self._round:
            self._round = self._in_use()
        while self._round:
            ready = self._round.pop()
            if not ready.closed:
                await self._sweeper.step(ready)
                return

    def _in_use(self) -> list[ReadySet]:
        """The sets that were asked for lately. Those that were not for long are forgotten."""
        now = asyncio.get_running_loop().time()
        found = []
        for queue in list(self._catalog.queues()):
            for ready in list(queue.groups.values()):
                if ready.parked or now - ready.used_at < IN_USE_S:
                    found.append(ready)
                elif now - ready.used_at > _FORGET_AFTER_S and not ready.held:
                    queue.groups.pop(ready.group, None)
                    ready.close()
        return found

    async def forget_leases(self) -> None:
        """Remove written-down leases over several partitions that ended long ago, a thousand at a time."""
        await self._store.forget_leases(_LEASE_ROWS_KEPT_S)
