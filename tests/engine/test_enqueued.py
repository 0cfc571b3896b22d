"""The loop that places what callers enqueue: woken by a commit, led by one, and asking little otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from queen import errors
from queen.engine.engine import Engine
from queen.engine.news import ENQUEUED
from queen.settings import EngineSettings
from queen.store.base import PushBatch
from queen.store.enqueued import NOTHING_SEEN, Moved, Place, Seen
from tests.support.builders import ids_of, open_engine, pop
from tests.support.fake_clock import in_virtual_time
from tests.support.memory_store import MemoryStore


class Callers:
    """Committed messages of callers, placed by pushing them to the store; what was asked is kept in `looks`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.waiting: list[str] = []
        self.blocked: list[tuple[str, str]] = []
        self.busy = False
        self.more = False
        self.error: errors.QueenError | None = None
        self.due_ms: int | None = None
        self.looks: list[tuple[Seen, list[tuple[str, str]]]] = []

    async def place_enqueued(
        self, limit: int, bytes_max: int, seen: Seen, after: Place, skip: list[tuple[str, str]]
    ) -> Moved:
        self.looks.append((seen, list(skip)))
        if self.error is not None:
            raise self.error
        if self.busy:
            return Moved([], [], None, None, None, [], None, NOTHING_SEEN)
        blocked = [one for one in self.blocked if one not in skip]
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        ids, heads = [], []
        if taken:
            [row] = await self._store.resolve([b"orders"], [b"eu"])
            names = [name.encode() for name in taken]
            count = len(taken)
            batch = PushBatch([row.partition_id], [count], [1] * count, names, [b"1"] * count, None, None)
            ids, heads = [row.partition_id], [(await self._store.push(batch))[0] + count]
        more = Place(after.xid + 1, 1) if self.waiting or blocked else None
        return Moved(ids, heads, len(taken), 0, self.due_ms, blocked, more, Seen(len(self.looks), (7,)))


@asynccontextmanager
async def serving(store: MemoryStore, callers: Callers, *, listening: bool = True) -> AsyncIterator[Engine]:
    """An engine with its loops, that leads, and has had its first look."""
    engine = Engine(store, replace(EngineSettings(), pop_gather_ms=0, sweep_ms=600_000), enqueued=callers)
    engine.start()
    if listening:
        engine.hearing.up()
    await asyncio.sleep(2)
    assert engine.presence.leading
    try:
        yield engine
    finally:
        await engine.stop(1.0)


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_a_commit_wakes_a_waiting_pop_of_a_partition_never_heard_of() -> None:
    store = MemoryStore()
    callers = Callers(store)
    async with serving(store, callers) as engine:
        task = asyncio.ensure_future(pop(engine, wait_ms=60_000))
        await asyncio.sleep(0.1)
        callers.waiting = ["a"]
        began_at = now()
        engine.hearing.heard(ENQUEUED)
        assert ids_of(await task) == ["a"]
        assert now() - began_at < 0.1
        assert engine.stats.counters.enqueued_placed == 1


@in_virtual_time
async def test_a_burst_of_commits_is_placed_together() -> None:
    store = MemoryStore()
    callers = Callers(store)
    async with serving(store, callers) as engine:
        before = len(callers.looks)
        for _ in range(100):
            engine.hearing.heard(ENQUEUED)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.5)
        assert len(callers.looks) - before <= 8


@in_virtual_time
async def test_little_is_asked_while_it_listens() -> None:
    callers = Callers(MemoryStore())
    async with serving(MemoryStore(), callers):
        before = len(callers.looks)
        await asyncio.sleep(100)
        assert 4 <= len(callers.looks) - before <= 6


@in_virtual_time
async def test_it_looks_more_often_where_nothing_can_be_heard() -> None:
    store = MemoryStore()
    callers = Callers(store)
    async with serving(store, callers, listening=False) as engine:
        await asyncio.sleep(20)
        before = len(callers.looks)
        await asyncio.sleep(20)
        assert 8 <= len(callers.looks) - before <= 12
        callers.waiting = ["a"]
        assert ids_of(await pop(engine, wait_ms=60_000)) == ["a"]


@in_virtual_time
async def test_a_look_goes_on_from_the_last_one_and_once_a_minute_at_all() -> None:
    callers = Callers(MemoryStore())
    async with serving(MemoryStore(), callers) as engine:
        engine.hearing.heard(ENQUEUED)
        await asyncio.sleep(0.1)
        count = len(callers.looks)
        assert callers.looks[-1][0] == Seen(count - 1, (7,))
        await asyncio.sleep(70)
        assert NOTHING_SEEN in [seen for seen, _ in callers.looks[count:]]


@in_virtual_time
async def test_after_a_gap_in_hearing_it_looks_at_all() -> None:
    callers = Callers(MemoryStore())
    async with serving(MemoryStore(), callers) as engine:
        engine.hearing.down()
        engine.hearing.up()
        await asyncio.sleep(0.1)
        assert callers.looks[-1][0] == NOTHING_SEEN


@in_virtual_time
async def test_what_is_blocked_is_left_and_asked_for_again_by_the_same_look() -> None:
    callers = Callers(MemoryStore())
    async with serving(MemoryStore(), callers) as engine:
        callers.blocked = [("q", "p")]
        count = len(callers.looks)
        engine.hearing.heard(ENQUEUED)
        await asyncio.sleep(0.01)
        [(seen, skip), (again, skipping)] = callers.looks[count:]
        assert (again, skip, skipping) == (seen, [], [("q", "p")])
        callers.blocked = []
        await asyncio.sleep(0.3)
        assert callers.looks[count + 2] == (seen, [])
        assert len(callers.looks) == count + 3


@in_virtual_time
async def test_what_commits_during_a_long_look_is_not_taken_for_seen() -> None:
    store = MemoryStore()
    callers = Callers(store)
    async with serving(store, callers) as engine:
        callers.waiting = [str(n) for n in range(1200)]
        count = len(callers.looks)
        engine.hearing.heard(ENQUEUED)
        await asyncio.sleep(0.5)
        assert len(callers.looks) == count + 3
        engine.hearing.heard(ENQUEUED)
        await asyncio.sleep(0.1)
        assert callers.looks[-1][0] == Seen(count + 1, (7,)), "as the first call of the look saw it"


@in_virtual_time
async def test_when_another_is_at_it_it_looks_again_soon() -> None:
    callers = Callers(MemoryStore())
    async with serving(MemoryStore(), callers) as engine:
        callers.busy = True
        engine.hearing.heard(ENQUEUED)
        await asyncio.sleep(0.05)
        callers.busy = False
        count = len(callers.looks)
        await asyncio.sleep(0.2)
        assert len(callers.looks) == count + 1


@in_virtual_time
async def test_a_failure_is_followed_by_a_look_at_all() -> None:
    callers = Callers(MemoryStore())
    async with serving(MemoryStore(), callers) as engine:
        callers.error = errors.StoreUnavailable("away")
        engine.hearing.heard(ENQUEUED)
        await asyncio.sleep(0.5)
        callers.error = None
        count = len(callers.looks)
        await asyncio.sleep(1)
        assert [seen for seen, _ in callers.looks[count:]] == [NOTHING_SEEN]


@in_virtual_time
async def test_contention_is_no_failure() -> None:
    callers = Callers(MemoryStore())
    async with serving(MemoryStore(), callers) as engine:
        engine.hearing.heard(ENQUEUED)
        await asyncio.sleep(0.1)
        count = len(callers.looks)
        callers.error = errors.EpochGone("dropped")
        engine.hearing.heard(ENQUEUED)
        await asyncio.sleep(0.01)
        callers.error = None
        await asyncio.sleep(0.3)
        assert [seen for seen, _ in callers.looks[count:]] == [Seen(count, (7,))] * 2


@in_virtual_time
async def test_who_does_not_lead_leaves_it_alone() -> None:
    store = MemoryStore()
    callers = Callers(store)
    async with open_engine(store, loops=True):
        await asyncio.sleep(2)
        other = Engine(store, EngineSettings(), enqueued=callers)
        other.start()
        try:
            other.hearing.heard(ENQUEUED)
            await asyncio.sleep(3)
            assert callers.looks == []
        finally:
            await other.stop(1.0)
