"""What went wrong lately, in this process and in all processes of the instance; and that this process serves at all.

The sorts of events are `pool` (connections), `flushes` (slow ones) and `refusals`; `peaks` has counts only: the most
connections in use in a minute. Knows what is noted where; how it is shown over HTTP is the matter of `past`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from typing import Final

from queen import errors
from queen.engine.board import Seat
from queen.engine.engine import Engine
from queen.engine.story import Story
from queen.store.past import Starts
from queen.store.pool import Pool

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
"""How old the story of another process of the instance may be."""

POOL, FLUSHES, REFUSALS, PEAKS = "pool", "flushes", "refusals", "peaks"

_FAREWELL_S: Final = 2.0


def of_process(engine: Engine, pool: Pool, worker: int) -> Story:
    """The story of this process. `worker` is its slot, 0 for the only process."""
    events = {
        POOL: [event | {"worker": worker} for event in pool.history()],
        FLUSHES: [asdict(event) | {"worker": worker} for event in engine.slow_flushes.events()],
        REFUSALS: [asdict(event) | {"worker": worker} for event in engine.stats.refusals.events()],
    }
    counts = {
        POOL: pool.by_minute(),
        FLUSHES: engine.slow_flushes.by_minute(),
        REFUSALS: engine.stats.refusals.by_minute(),
        PEAKS: pool.peaks(),
    }
    return Story(events, counts)


def of_instance(engine: Engine, pool: Pool, seat: Seat | None) -> Story:
    """The story of all processes of the instance; of this one as of now."""
    pool.sample_peak()
    own = of_process(engine, pool, seat.slot if seat is not None else 0)
    if seat is None:
        return own
    seat.tell(own)
    return seat.board.stories()


class Teller:
    """At each tick: notes peaks, and tells the other processes what is new. Says once that this process serves."""

    def __init__(self, engine: Engine, pool: Pool, starts: Starts, seat: Seat | None) -> None:
        self._engine = engine
        self._pool = pool
        self._starts = starts
        self._seat = seat
        self._said = False
        self._told: tuple[object, ...] = ()

    async def tick(self) -> None:
        if not self._said:
            await self._say_the_start()
        self._pool.sample_peak()
        self._engine.memory.note_peak()
        if self._seat is not None:
            state = self._state()
            if state != self._told:
                self._told = state
                self._seat.tell(of_process(self._engine, self._pool, self._seat.slot))

    async def _say_the_start(self) -> None:
        try:
            await self._starts.record_start(self._engine.instance_id, self._engine.activity.place)
            self._said = True
        except errors.QueenError as error:
            log.debug("start not written down yet error=%s", error.message)

    def _state(self) -> tuple[object, ...]:
        """Changes when there is something to tell: cheaper to make than the story."""
        flushes, refusals = self._engine.slow_flushes.totals, self._engine.stats.refusals.totals
        return (self._pool.totals(), flushes.total(), refusals.total(), self._pool.peaks())


async def say_the_end(engine: Engine, starts: Starts) -> None:
    """Write down that this process ends in an orderly way, if the database can be reached soon."""
    try:
        async with asyncio.timeout(_FAREWELL_S):
            await starts.record_end(engine.instance_id)
    except (errors.QueenError, TimeoutError) as error:
        log.info("end not written down error=%s", error)
