"""Rotation: opens the next epoch ahead of need. It knows ages, sizes and numbers, and nothing of what epochs hold.

An epoch ends by size or by age. It lives at least a third of the longest deduplication window in use, so that a window
spans at most four children. The more epochs there are, the longer they get: from half of the bound on, both limits
double with every twentieth part of it, and at the bound no epoch is opened.
"""

from __future__ import annotations

import logging
import time

from queen.engine.maintenance.locks import with_short_locks
from queen.engine.stats import Stats
from queen.settings import EngineSettings
from queen.store.base import EpochRow, EpochUpkeep

log = logging.getLogger(__name__)

_EPOCHS_PER_WINDOW = 3


class Rotation:
    """Decides when an epoch has been open long enough."""

    def __init__(self, store: EpochUpkeep, settings: EngineSettings, stats: Stats) -> None:
        self._store = store
        self._settings = settings
        self._counters = stats.counters
        self.last_at = 0
        """When this instance opened an epoch last, in seconds since 1970; 0: never."""

    async def step(self, rows: list[EpochRow]) -> None:
        """Open the next epoch when it is time. `rows` are all epochs, oldest first."""
        if not rows or not is_due(rows, self._settings):
            return
        newest = rows[-1]
        opened = await with_short_locks(lambda: self._store.rotate(newest.epoch), self._counters)
        if opened is not None:
            self._counters.epochs_opened += 1
            self.last_at = int(time.time())
            log.info(
                "epoch opened epoch=%d before_age_s=%d before_bytes=%d epochs=%d",
                opened, newest.age_ms // 1000, newest.newest_bytes, len(rows) + 1,
            )  # fmt: skip


def is_due(rows: list[EpochRow], settings: EngineSettings) -> bool:
    """Should the next epoch be opened?"""
    newest = rows[-1]
    if newest.newest_bytes == 0 or len(rows) >= settings.epochs_max:
        return False  # An idle server opens none.
    if newest.age_ms < max(settings.epoch_age_ms_min, newest.window_s * 1000 // _EPOCHS_PER_WINDOW):
        return False
    factor = _stretch(len(rows), settings.epochs_max)
    return (
        newest.newest_bytes >= settings.epoch_bytes_max * factor or newest.age_ms >= settings.epoch_age_ms_max * factor
    )


def _stretch(epochs: int, epochs_max: int) -> int:
    above_half = max(0, epochs - epochs_max // 2)
    return int(2 ** (above_half // max(1, epochs_max // 20)))
