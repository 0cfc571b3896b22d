"""Small periodic work of one server: rate samples, sweeps of the groups in use, and forgetting what nobody uses."""

from __future__ import annotations

import asyncio

from queen.engine.catalog import Catalog
from queen.engine.stats import Stats
from queen.engine.sweep import Sweeper
from queen.store.base import Store

_IN_USE_S = 60.0
_FORGET_AFTER_S = 600.0
_LEASE_ROWS_KEPT_S = 3600


class Housekeeping:
    """The ticks of the housekeeping loops."""

    def __init__(self, store: Store, catalog: Catalog, sweeper: Sweeper, stats: Stats) -> None:
        self._store = store
        self._catalog = catalog
        self._sweeper = sweeper
        self._stats = stats

    async def sample(self) -> None:
        """Once a second: what the rates are made of."""
        self._stats.sample()

    async def sweep(self) -> None:
        """Look for work that came from elsewhere, for the groups that were asked for lately."""
        now = asyncio.get_running_loop().time()
        for queue in list(self._catalog.queues()):
            for ready in list(queue.groups.values()):
                if ready.parked or now - ready.used_at < _IN_USE_S:
                    self._sweeper.start(ready)
                elif now - ready.used_at > _FORGET_AFTER_S and not ready.held:
                    queue.groups.pop(ready.group, None)
                    ready.close()

    async def forget_leases(self) -> None:
        """Remove written-down leases over several partitions that ended long ago, a thousand at a time."""
        await self._store.forget_leases(_LEASE_ROWS_KEPT_S)
