"""Traces of messages leave by age. The leader alone sees to it, in bounded steps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from queen.store.base import Store

log = logging.getLogger(__name__)

_EVERY_S_MAX = 60.0
_PER_STEP = 1_000
_STEPS_PER_TICK = 100
_PAUSE_S = 0.02


class ForgetTraces:
    """The tick of the loop; it runs ten times within the age, but not more often than once a second."""

    def __init__(self, store: Store, age_ms_max: int, leading: Callable[[], bool]) -> None:
        self.interval_s = min(_EVERY_S_MAX, max(1.0, age_ms_max / 10_000))
        self._store = store
        self._age_ms_max = age_ms_max
        self._leading = leading

    async def tick(self) -> None:
        """Remove what is too old; what is left after many steps waits for the next tick."""
        if not self._leading():
            return
        gone = 0
        for _ in range(_STEPS_PER_TICK):
            count = await self._store.forget_traces(self._age_ms_max, _PER_STEP)
            gone += count
            if count < _PER_STEP:
                break
            await asyncio.sleep(_PAUSE_S)
        if gone:
            log.info("traces forgotten traces=%d", gone)
