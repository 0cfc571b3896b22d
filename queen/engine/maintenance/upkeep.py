"""The upkeep of epochs: one look a tick, and what rotation and retention make of it. The leader alone does it.

Two leaders at once do no harm: the database lets one at a time change epochs.
"""

from __future__ import annotations

from collections.abc import Callable

from queen import errors
from queen.engine.maintenance.locks import with_short_locks
from queen.engine.maintenance.retention import Retention
from queen.engine.maintenance.rotation import Rotation
from queen.engine.stats import Stats
from queen.settings import EngineSettings
from queen.store.base import EpochUpkeep


class Upkeep:
    """The tick of the upkeep loop."""

    def __init__(self, store: EpochUpkeep, settings: EngineSettings, stats: Stats, leading: Callable[[], bool]) -> None:
        self._store = store
        self._counters = stats.counters
        self._leading = leading
        self.rotation = Rotation(store, settings, stats)
        self._retention = Retention(store, stats)
        self._cleaned = -1
        self.epochs = 0
        """Number of epochs at the last look; 0 while another instance leads."""

    async def tick(self) -> None:
        """Look once; open an epoch, hide, empty, drop and rewrite as far as it is due."""
        if not self._leading():
            self.epochs = self.rotation.last_at = 0
            return
        rows = await self._store.look()
        self.epochs = len(rows)
        try:
            await self.rotation.step(rows)
            await self._retention.step(rows)
        except errors.Contention:
            self._counters.upkeep_lock_timeouts += 1
        await self._drop_leftovers()

    async def _drop_leftovers(self) -> None:
        """After the first look, and after each table that was put aside, until nothing is left."""
        aside = self._counters.epochs_rewritten + self._counters.epochs_dropped
        if self._cleaned != aside and await with_short_locks(self._store.drop_leftovers, self._counters) is not None:
            self._cleaned = aside
