"""Keeps the numbers of queues and groups fresh: a walk over all partitions, a page at a time. The leader alone does it.

A walk begins every `statistics_ms` while there is something to see: work went on since the one before began, here or on
a server that announced it, or somebody asked for kept numbers. Without either, one in sixty of these. A server that
comes to lead begins anew; nothing is lost but the sums of the queue that the last one was at.

The pages of a walk are spread, so that they take about a twentieth of the time, and pushes and pops hardly notice.
Whoever orders a refresh gets a walk of its own without pauses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from queen import errors
from queen.engine.stats import Stats
from queen.settings import EngineSettings
from queen.store.kept import KeptNumbers

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
_WORK_S_PER_TICK: Final = 0.05
_IDLE_FACTOR: Final = 60
_NEVER: Final = float("-inf")
_PASSING: Final = (errors.StoreUnavailable, errors.Overloaded, errors.Contention)

# What moves the numbers. A counter that rises tells that they are old; that an announcement came tells it of others.
_MOVES: Final = (
    *("push_messages", "scheduled_placed", "pop_messages", "ack_messages", "dead_letters", "leases_expired"),
    *("leases_extended", "messages_hidden", "announcements_received"),
)


class Refreshed(NamedTuple):
    """What one walk came by, and how long it took."""

    queues: int
    partitions: int
    seconds: float


class Walk:
    """One walk: its place, and what it came by."""

    def __init__(self, store: KeptNumbers) -> None:
        self._store = store
        self._place: tuple[int, int] | None = (0, 0)
        self._carry: str | None = None
        self.queues = 0
        self.partitions = 0

    @property
    def ended(self) -> bool:
        """Is it through?"""
        return self._place is None

    async def step(self) -> None:
        """One page. Raises what the store raises; the same page is tried again then."""
        assert self._place is not None
        page = await self._store.step(*self._place, self._carry)
        self.queues += page.queues
        self.partitions += page.partitions
        self._carry = page.carry
        self._place = None if page.queue_id is None or page.after is None else (page.queue_id, page.after)


class Statistics:
    """The tick of the statistics loop, and refreshes to order."""

    def __init__(self, store: KeptNumbers, settings: EngineSettings, stats: Stats, leading: Callable[[], bool]) -> None:
        self._store = store
        self._counters = stats.counters
        self._leading = leading
        self._interval_s = settings.statistics_ms / 1000
        self._clock = asyncio.get_running_loop().time
        self._walk: Walk | None = None
        self._began_at = self._asked_at = _NEVER
        self._moves = -1
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[Refreshed] | None = None
        self._orders: set[asyncio.Task[Refreshed]] = set()

    def asked(self) -> None:
        """Somebody wants kept numbers; they had better be fresh the next time."""
        self._asked_at = self._clock()

    async def tick(self) -> None:
        """A few pages of the walk that goes on, or of a new one when it is time."""
        if not self._leading():
            self._walk, self._began_at = None, _NEVER
            return
        if self._walk is None:
            if not self._is_due():
                return
            self._walk, self._began_at, self._moves = Walk(self._store), self._clock(), self._count_moves()
        try:
            await self._go_on(self._walk)
        except _PASSING as error:
            log.debug("the walk waits error=%s", error.message)  # The pool tells of an outage, once for all.
        if self._walk.ended:
            self._walk = None

    async def refresh(self) -> Refreshed:
        """A whole walk that begins now. Those who ask while one goes on share the next."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._refresh(), name="statistics to order")
            self._orders.add(self._next)
            self._next.add_done_callback(self._orders.discard)
        return await asyncio.shield(self._next)

    async def stop(self) -> None:
        """End the walks that were ordered."""
        for order in self._orders:
            order.cancel()
        if self._orders:
            await asyncio.wait(set(self._orders))

    async def _refresh(self) -> Refreshed:
        async with self._one_at_a_time:
            self._next = None
            began_at, walk = self._clock(), Walk(self._store)
            while not walk.ended:
                await walk.step()
            return Refreshed(walk.queues, walk.partitions, self._clock() - began_at)

    async def _go_on(self, walk: Walk) -> None:
        ends_at = self._clock() + _WORK_S_PER_TICK
        while not walk.ended:
            await walk.step()
            if self._clock() >= ends_at:
                break

    def _is_due(self) -> bool:
        wanted = self._asked_at > self._began_at or self._count_moves() != self._moves
        pause_s = self._interval_s if wanted else self._interval_s * _IDLE_FACTOR
        return self._clock() - self._began_at >= pause_s

    def _count_moves(self) -> int:
        return sum(getattr(self._counters, name) for name in _MOVES)
