"""Activity by the minute: closes what was counted, writes it down once a minute, and shows what runs.

    counting   `queen.engine.tally`, `queen.engine.stats`, by the clock of the database as far as it is known
    closed     one `Minute`, written with one statement; nothing is written for a minute in which nothing happened
    failed     it stays pending and is written again, word for word; meanwhile counting goes on, and what comes is
               written later as the latest minute. So nothing is counted twice, and an outage costs no memory.

A server that is killed loses its running minute. Queues beyond `activity_queues_max` in a minute are not forgotten:
they go on counting and are written in a later one. `running` has what is not written, so that a look at the table and
at it together is complete.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import Final, NamedTuple

from queen import errors
from queen.engine.catalog import Queue
from queen.engine.gauges import Gauges
from queen.engine.stats import Counters, Stats
from queen.engine.tally import Tally
from queen.store.activity import ALL_QUEUES, ActivityStore, Counts, Minute, Place

log = logging.getLogger(__name__)

MINUTE_S: Final = 60
SAMPLE_S: Final = 5.0
_FAREWELL_S: Final = 2.0
_FAREWELL_QUEUES_MAX: Final = 10_000
_CLOCK_TOLERANCE_S: Final = 0.001
_SET_BACK_S_MAX: Final = 120
_ROLL_UP_ROWS: Final = 5_000
_ROLL_UPS_PER_TICK: Final = 20
_COUNTED: Final = ("push_requests", "push_messages", "pop_requests", "pop_messages", "pop_empty", "ack_requests",
                   "dead_letters", "messages_hidden", "epochs_dropped")  # fmt: skip


class Running(NamedTuple):
    """What this process has not written: rows of `Counts` by (queue id, bucket). `since`: from this bucket on the table
    has nothing of this process that is not in here."""

    since: int
    rows: dict[tuple[int, int], Counts]


class Activity:
    """See the module. `place` is where this process serves; it is told when it does. `instance_id` names its rows."""

    def __init__(
        self,
        store: ActivityStore | None,
        instance_id: uuid.UUID,
        stats: Stats,
        gauges: Gauges,
        parked: Callable[[], int],
        queues_max: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Without a store nothing is written. `clock`: seconds since 1970."""
        self.instance_id = instance_id
        self.place = Place("", 0, 0)
        self.gauges = gauges
        self._store = store
        self._stats = stats
        self._parked = parked
        self._queues_max = queues_max
        self._clock = clock
        self._ahead_s = 0.0
        self._counted = _counted(stats.counters)
        self._pending: Minute | None = None
        self._bucket = self._current()
        self._synchronised = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write, if there is a store."""
        if self._store is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="loop activity")

    async def stop(self) -> None:
        """Write what was counted, if the database can be reached soon, and end."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._write()
                self._close(_FAREWELL_QUEUES_MAX)
                await self._write()
        except TimeoutError:
            log.info("the activity of the last minute was not written in time")

    async def tick(self) -> None:
        """Sample; close and write the minute when it is over, or what could not be written before."""
        if not self._synchronised and self._store is not None:
            await self._synchronise(self._store)
        current = self._current()
        if current > self._bucket:
            self._close(self._queues_max)
            self._bucket = current
        elif current < self._bucket - _SET_BACK_S_MAX:
            # The clock was set back by much. Minutes that come again are rows of somebody else, so that both count.
            self.instance_id, self._bucket = uuid.uuid4(), current
        self.gauges.sample()
        await self._write()

    def running(self) -> Running:
        """What is not in the table, as of now."""
        rows = {(ALL_QUEUES, self._bucket): self._total(self._stats.tallies.total)}
        for queue, tally in self._stats.tallies.snapshot():
            rows[queue.id, self._bucket] = tally.counts(_parked_at(queue))
        if self._pending is None:
            return Running(self._bucket, rows)
        for queue_id, counts in self._pending.rows.items():
            rows[queue_id, self._pending.bucket] = counts
        return Running(self._pending.bucket, rows)

    def now(self) -> float:
        """Seconds since 1970, by the clock of the database."""
        return self._clock() - self._ahead_s

    def _current(self) -> int:
        return int(self.now() // MINUTE_S) * MINUTE_S

    async def _run(self) -> None:
        while True:
            try:
                await self.tick()
            except Exception:
                log.exception("tick failed loop=activity")
            # Awake at the turn of the minute, so that its numbers are its own.
            left_s = self._bucket + MINUTE_S - self.now()
            await asyncio.sleep(min(SAMPLE_S, max(left_s, 0.0) + 0.001))

    def _close(self, queues_max: int) -> None:
        """End the minute. While the one before is not written nothing ends: its numbers go into the next one."""
        if self._pending is not None:
            return
        total = self._total(self._stats.tallies.total)
        if total._replace(parked=0) == Counts() and not len(self._stats.tallies):
            self.gauges.clear()
            return
        self._counted = _counted(self._stats.counters)
        self._stats.tallies.close_total()
        rows = {ALL_QUEUES: total}
        for queue, tally in self._stats.tallies.close(queues_max):
            rows[queue.id] = tally.counts(_parked_at(queue))
        self._pending = Minute(self._bucket, rows, self.gauges.summary())
        self.gauges.clear()

    def _total(self, tally: Tally) -> Counts:
        """The sums over all queues: what the tally has, and what the counters of the process counted meanwhile."""
        now = _counted(self._stats.counters)
        grown = {name: now[name] - self._counted[name] for name in _COUNTED}
        return tally.counts(self._parked())._replace(**grown)

    async def _write(self) -> None:
        minute = self._pending
        if minute is None or self._store is None:
            return
        try:
            await self._call(self._store, minute)
            self._pending = None
        except errors.QueenError as error:
            if not error.retryable:
                self._pending = None
            # The pool tells of an outage, once for all.
            level = logging.DEBUG if isinstance(error, errors.StoreUnavailable) else logging.WARNING
            log.log(level, "activity not written bucket=%d error=%s", minute.bucket, error.message)
        except Exception:
            self._pending = None
            raise

    async def _synchronise(self, store: ActivityStore) -> None:
        """Ask for the time alone, once; nothing was written by another one."""
        try:
            await self._call(store, Minute(self._bucket, {}))
            self._bucket = self._current()
        except errors.QueenError as error:
            log.debug("time of the database not known error=%s", error.message)

    async def _call(self, store: ActivityStore, minute: Minute) -> None:
        began_at = self._clock()
        at = await store.record(self.instance_id, self.place, minute)
        ended_at = self._clock()
        self._synchronised = True
        ahead_s, doubt_s = (began_at + ended_at) / 2 - at, (ended_at - began_at) / 2
        # A difference that the way to the database explains is none.
        self._ahead_s = ahead_s if abs(ahead_s) > doubt_s + _CLOCK_TOLERANCE_S else 0.0
        self._stats.tallies.clock_ahead_us = int(self._ahead_s * 1_000_000)


class RollUp:
    """The tick that turns old minutes into hours, and forgets old hours. The leader alone does it."""

    def __init__(
        self, store: ActivityStore, minutes_kept_ms: int, hours_kept_ms: int, leading: Callable[[], bool]
    ) -> None:
        self._store = store
        self._minutes_kept_ms = minutes_kept_ms
        self._hours_kept_ms = hours_kept_ms
        self._leading = leading

    async def tick(self) -> None:
        """A bounded number of bounded steps; what is left waits for the next tick."""
        for _ in range(_ROLL_UPS_PER_TICK):
            if not self._leading():
                return
            if await self._store.roll_up(self._minutes_kept_ms, self._hours_kept_ms, _ROLL_UP_ROWS) < _ROLL_UP_ROWS:
                return


def _counted(counters: Counters) -> dict[str, int]:
    return {name: getattr(counters, name) for name in _COUNTED}


def _parked_at(queue: Queue) -> int:
    return sum(ready.parked for ready in queue.groups.values())
