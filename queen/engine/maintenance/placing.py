"""Scheduled messages: gives those that are due their place in the order, on time and without asking all the time.

The database says with each call when the next message is due; until then nothing is asked, but for a rare look that
finds what other servers stored meanwhile. Only the leader of the cluster looks by itself. A server that stored a
message which may be due before the leader hears of it sees to that message itself; two of them at once are safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from queen import errors
from queen.engine.catalog import Catalog
from queen.engine.maintenance.loop import Background, wait_until
from queen.engine.mode import operation_bytes_max, operation_messages_max
from queen.engine.stats import Stats
from queen.settings import EngineSettings
from queen.store.base import Placed, Store

log = logging.getLogger(__name__)

_PAUSE_S = 0.05
_BLOCKED_PAUSE_S = 0.1
_FAILED_PAUSE_S = 1.0
_SKIPPED_MAX = 1000


class Placing(Background):
    """The loop that places due messages: start, stop, tick."""

    name = "placing"

    def __init__(
        self, store: Store, catalog: Catalog, stats: Stats, settings: EngineSettings, leading: Callable[[], bool]
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._counters = stats.counters
        self._leading = leading
        self._limit = operation_messages_max(settings)
        self._bytes_max = operation_bytes_max(settings)
        self._check_s = settings.scheduled_check_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._next_at: float | None = None  # when to ask again, on the loop's clock; None: nothing is known to come
        self._earlier = asyncio.Event()

    def note(self, due_ms: int) -> None:
        """A message was stored here that is due in so many ms."""
        if self._leading() or due_ms <= self._near_ms:
            self._look_at(self._loop.time() + due_ms / 1000)

    async def tick(self) -> None:
        """Place all that is due. Raises what the store raises."""
        self._next_at = None
        skip: list[int] = []
        while True:
            placed = await self._store.place_due(self._limit, self._bytes_max, skip)
            await self._learn(placed)
            skip += placed.blocked
            stuck = not placed.moved and not placed.blocked
            if placed.due_ms is None or placed.due_ms > 0 or stuck or len(skip) > _SKIPPED_MAX:
                break
        if skip:
            self._look_at(self._loop.time() + _BLOCKED_PAUSE_S)
        if placed.due_ms is not None and (self._leading() or placed.due_ms <= self._near_ms):
            self._look_at(self._loop.time() + max(0, placed.due_ms) / 1000)

    @property
    def _near_ms(self) -> float:
        """What is due later than this is known to the leader in time, wherever it was stored."""
        return 2 * self._check_s * 1000

    def _look_at(self, at: float) -> None:
        if self._next_at is None or at < self._next_at:
            self._next_at = at
            self._earlier.set()

    async def _learn(self, placed: Placed) -> None:
        self._counters.scheduled_placed += placed.moved
        if self._catalog.announces:
            # Other servers wait for messages of partitions that this one never heard of.
            await self._catalog.find_partitions(placed.partition_ids)
        self._catalog.note_heads(placed.partition_ids, placed.heads)

    async def _run(self) -> None:
        checked_at = float("-inf")
        while True:
            check_at = checked_at + self._check_s
            now = self._loop.time()
            is_due = self._next_at is not None and now >= self._next_at
            if is_due or now >= check_at:
                if is_due or self._leading():
                    await self._try()
                checked_at = self._loop.time()
                # What becomes due within this time is placed together.
                await asyncio.sleep(_PAUSE_S)
                continue
            self._earlier.clear()
            await wait_until(check_at if self._next_at is None else min(check_at, self._next_at), self._earlier)

    async def _try(self) -> None:
        try:
            await self.tick()
            return
        except errors.QueenError as error:
            log.warning("tick failed loop=%s error=%s", self.name, error)
        except Exception:
            log.exception("tick failed loop=%s", self.name)
        self._look_at(self._loop.time() + _FAILED_PAUSE_S)
