"""Retention: hides what the options of queues let go, and lets epochs leave in which nothing has to stay.

    expire   pages over the partitions of queues with a retention option; what is hidden is out of reach at once
    record   writes down, once, what an epoch holds that was closed
    leave    an epoch in which nothing has to stay is emptied, then dropped; a mostly dead one is written anew

Every step is a short transaction that may be cut off and done again, by this instance or another.
"""

from __future__ import annotations

import logging

from queen.engine.maintenance.locks import with_short_locks
from queen.engine.stats import Stats
from queen.store.base import EpochRow, EpochUpkeep, Life

log = logging.getLogger(__name__)

_PAGES_PER_TICK = 50
_LOOKS_PER_TICK = 8
_COPIES_PER_TICK = 200


class Retention:
    """Bounded work per tick; where it stopped, the next tick goes on."""

    def __init__(self, store: EpochUpkeep, stats: Stats) -> None:
        self._store = store
        self._counters = stats.counters
        self._place = (0, 0)
        self._recorded_to: dict[int, int] = {}
        self._looked_at = 0

    async def step(self, rows: list[EpochRow]) -> None:
        """One tick. `rows` are all epochs, oldest first."""
        if rows and rows[0].expiring:
            await self._expire()
        await self._record(rows)
        for row in rows:
            if row.emptied:
                await self._drop(row.epoch)
        for row in self._to_look_at(rows):
            await self._leave(row.epoch)

    async def _expire(self) -> None:
        hidden = 0
        for _ in range(_PAGES_PER_TICK):
            page = await self._store.expire(*self._place)
            hidden += page.hidden
            self._place = (page.queue_id or 0, page.after or 0)
            if page.queue_id is None:
                break
        if hidden:
            self._counters.messages_hidden += hidden
            log.info("messages hidden by retention messages=%d", hidden)

    async def _record(self, rows: list[EpochRow]) -> None:
        """The oldest closed epoch that is not recorded yet, up to the end or for a bounded number of pages."""
        row = next((one for one in rows if not one.recorded), None)
        if row is None or row.closed_ms is None:
            return
        after: int | None = self._recorded_to.get(row.epoch, 0)
        for _ in range(_PAGES_PER_TICK):
            assert after is not None
            after = await self._store.record(row.epoch, after)
            if after is None:
                break
        # None may also mean that somebody still writes there: begin anew, what is recorded already stays.
        self._recorded_to = {row.epoch: after} if after is not None else {}

    def _to_look_at(self, rows: list[EpochRow]) -> list[EpochRow]:
        """The next few recorded epochs, in turn: what stays for ever is not looked at every time."""
        recorded = [row for row in rows if row.recorded and not row.emptied]
        later = [row for row in recorded if row.epoch > self._looked_at]
        chosen = (later + [row for row in recorded if row not in later])[:_LOOKS_PER_TICK]
        if chosen:
            self._looked_at = chosen[-1].epoch
        return chosen

    async def _leave(self, epoch: int) -> None:
        life = await self._store.life(epoch)
        if life.needed == 0 and life.scheduled == 0:
            if await with_short_locks(lambda: self._store.empty(epoch), self._counters):
                log.info("epoch emptied epoch=%d messages=%d", epoch, life.stored)
                await self._drop(epoch)
        elif is_mostly_dead(life):
            await self._rewrite(epoch, life)

    async def _drop(self, epoch: int) -> None:
        if await with_short_locks(lambda: self._store.drop(epoch), self._counters):
            self._counters.epochs_dropped += 1
            log.info("epoch dropped epoch=%d", epoch)

    async def _rewrite(self, epoch: int, life: Life) -> None:
        """Copy what has to stay, a few thousand messages a step, then swap. A tick that ends before is gone on with."""
        for _ in range(_COPIES_PER_TICK):
            copied = await self._store.copy(epoch)
            if copied is None:
                return
            if copied == 0:
                break
        else:
            return
        if await with_short_locks(lambda: self._store.swap(epoch), self._counters):
            self._counters.epochs_rewritten += 1
            log.info("epoch rewritten epoch=%d messages=%d kept=%d", epoch, life.stored, life.needed + life.scheduled)


def is_mostly_dead(life: Life) -> bool:
    """Is a rewrite worth it? Each one halves the child at least, so an epoch sees few."""
    return (life.needed + life.scheduled) * 2 < life.stored
