"""Minutes are closed and written once each, whatever goes wrong; what is not written is shown as running."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from queen import errors
from queen.engine.activity import Activity, RollUp
from queen.engine.engine import Engine
from queen.engine.gauges import Gauges
from queen.settings import EngineSettings
from queen.store.activity import ALL_QUEUES, Counts, Minute, Place
from tests.support.builders import push
from tests.support.fake_clock import in_virtual_time
from tests.support.memory_store import MemoryStore

T0 = 1_800_000_000 // 60 * 60


class Minutes:
    """A store that keeps what it is told. `failing`: errors for the next calls; `ahead_s`: of its clock."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.ahead_s = 0.0
        self.written: list[tuple[uuid.UUID, Place, Minute]] = []
        self.calls = 0
        self.failing: list[Exception] = []
        self.lose_answer = False

    async def record(self, instance_id: uuid.UUID, place: Place, minute: Minute) -> float:
        self.calls += 1
        if self.failing and not self.lose_answer:
            raise self.failing.pop(0)
        known = {(one, old.bucket) for one, _, old in self.written}
        if minute.rows and (instance_id, minute.bucket) not in known:
            self.written.append((instance_id, place, minute))
        if self.failing:
            raise self.failing.pop(0)
        return float(self.clock()) + self.ahead_s

    async def roll_up(self, minutes_kept_ms: int, hours_kept_ms: int, limit: int) -> int:
        return 0

    @property
    def rows(self) -> list[dict[int, Counts]]:
        return [minute.rows for _, _, minute in self.written]

    @property
    def buckets(self) -> list[int]:
        return [minute.bucket - T0 for _, _, minute in self.written]


def clock() -> float:
    """Seconds since 1970 on the jumping clock; a whole minute when a test begins."""
    return T0 + asyncio.get_running_loop().time() - 1000.0


@asynccontextmanager
async def opened(store: Minutes | None = None, **settings: Any) -> AsyncIterator[tuple[Engine, Minutes]]:
    """An engine whose activity is written by the jumping clock, and where to."""
    minutes = store or Minutes(clock)
    asked = replace(EngineSettings(), **{"pop_gather_ms": 0, **settings})
    engine = Engine(MemoryStore(), asked)
    engine.activity = Activity(
        minutes,
        engine.instance_id,
        engine.stats,
        Gauges(lambda: {"cpu": {"user": 1.0}}),
        lambda: engine.limits.parked_polls,
        asked.activity_queues_max,
        clock,
    )
    engine.activity.start()
    try:
        yield engine, minutes
    finally:
        minutes.failing.clear()
        await engine.stop(1.0)


@in_virtual_time
async def test_a_finished_minute_is_written_once_with_its_sums() -> None:
    async with opened() as (engine, minutes):
        await push(engine, "a", "b")
        await push(engine, "c", queue="bills")
        await asyncio.sleep(59)
        assert minutes.written == []
        await asyncio.sleep(2)
        orders, bills = (engine.catalog.queue(name) for name in ("orders", "bills"))
        assert orders is not None
        assert bills is not None
        assert minutes.rows == [
            {
                ALL_QUEUES: Counts(push_requests=2, push_messages=3),
                orders.id: Counts(push_requests=1, push_messages=2),
                bills.id: Counts(push_requests=1, push_messages=1),
            }
        ]
        assert minutes.buckets == [0]
        assert minutes.written[0][2].metrics["cpu"]["user"]["avg"] == 1.0


@in_virtual_time
async def test_nothing_is_written_while_nothing_happens() -> None:
    async with opened() as (engine, minutes):
        await asyncio.sleep(3600)
        assert minutes.calls == 1, "one call asks for the time at the start"
        await push(engine, "a")
        await asyncio.sleep(3600)
        assert (minutes.calls, minutes.buckets) == (2, [3600])


@in_virtual_time
async def test_each_minute_has_what_was_done_in_it() -> None:
    async with opened() as (engine, minutes):
        for number in range(3):
            await push(engine, f"t{number}")
            await asyncio.sleep(60)
        await asyncio.sleep(1)
        assert minutes.buckets == [0, 60, 120]
        assert [rows[ALL_QUEUES].push_messages for rows in minutes.rows] == [1, 1, 1]


@in_virtual_time
async def test_the_running_minute_is_written_at_an_orderly_end() -> None:
    async with opened() as (engine, minutes):
        await push(engine, "a")
        await asyncio.sleep(1)
    assert [rows[ALL_QUEUES].push_messages for rows in minutes.rows] == [1]


@in_virtual_time
async def test_a_server_that_is_killed_loses_its_running_minute_alone() -> None:
    async with opened() as (engine, minutes):
        await push(engine, "a")
        await asyncio.sleep(61)
        await push(engine, "b")
        running = engine.activity.running()
        assert (running.since - T0, running.rows[ALL_QUEUES, running.since].push_messages) == (60, 1)
        assert minutes.buckets == [0]


@in_virtual_time
async def test_a_minute_that_cannot_be_written_is_written_later_and_no_count_is_lost() -> None:
    async with opened() as (engine, minutes):
        await push(engine, "a")
        await asyncio.sleep(1)
        minutes.failing = [errors.StoreUnavailable("away")] * 30
        await asyncio.sleep(60)
        await push(engine, "b", "c")
        await asyncio.sleep(60)
        assert minutes.written == []
        shown = engine.activity.running()
        assert sum(row.push_messages for (queue, _), row in shown.rows.items() if queue == ALL_QUEUES) == 3
        await asyncio.sleep(300)
        assert sum(rows[ALL_QUEUES].push_messages for rows in minutes.rows) == 3
        assert minutes.buckets[0] == 0


@in_virtual_time
async def test_a_minute_whose_answer_was_lost_is_not_counted_twice() -> None:
    async with opened() as (engine, minutes):
        await push(engine, "a")
        await asyncio.sleep(1)
        minutes.failing, minutes.lose_answer = [errors.StoreUnavailable("cut", unknown=True)], True
        await asyncio.sleep(120)
        assert [rows[ALL_QUEUES].push_messages for rows in minutes.rows] == [1]


@in_virtual_time
async def test_what_can_never_be_written_is_given_up() -> None:
    async with opened() as (engine, minutes):
        await push(engine, "a")
        await asyncio.sleep(1)
        minutes.failing = [errors.InvalidRequest("no")]
        await asyncio.sleep(60)
        await push(engine, "b")
        await asyncio.sleep(60)
        assert minutes.buckets == [60]


@in_virtual_time
async def test_queues_beyond_the_bound_are_written_in_later_minutes() -> None:
    async with opened(activity_queues_max=2) as (engine, minutes):
        for number in range(5):
            await push(engine, "t", queue=f"q{number}")
        await asyncio.sleep(61)
        assert len(minutes.rows[0]) == 3, "two queues and the sums"
        await asyncio.sleep(180)
        written = [queue for rows in minutes.rows for queue in rows if queue != ALL_QUEUES]
        assert sorted(written) == sorted(queue.id for queue in engine.catalog.queues())
        assert sum(rows[ALL_QUEUES].push_messages for rows in minutes.rows) == 5


@in_virtual_time
async def test_minutes_are_those_of_the_database() -> None:
    minutes = Minutes(clock)
    minutes.ahead_s = -7200.0
    async with opened(minutes) as (engine, _):
        await asyncio.sleep(1)
        await push(engine, "a")
        await asyncio.sleep(61)
        assert engine.stats.tallies.clock_ahead_us == 7_200_000_000
        assert engine.activity.now() == clock() - 7200
        assert minutes.buckets == [-7200]


@in_virtual_time
async def test_a_clock_that_is_set_back_loses_no_minute() -> None:
    async with opened() as (engine, minutes):
        for number in range(3):
            await push(engine, f"t{number}")
            await asyncio.sleep(61)
        minutes.ahead_s = -600.0
        await push(engine, "t3")
        await asyncio.sleep(61)
        for number in range(4, 16):
            await push(engine, f"t{number}")
            await asyncio.sleep(60)
        assert sum(rows[ALL_QUEUES].push_messages for rows in minutes.rows) >= 15
        assert len({instance for instance, _, _ in minutes.written}) == 2


@in_virtual_time
async def test_retention_is_part_of_the_sums() -> None:
    async with opened() as (engine, minutes):
        engine.stats.counters.messages_hidden += 7
        engine.stats.counters.epochs_dropped += 1
        await asyncio.sleep(61)
        assert minutes.rows == [{ALL_QUEUES: Counts(messages_hidden=7, epochs_dropped=1)}]


@in_virtual_time
async def test_the_leader_alone_rolls_up_and_in_bounded_steps() -> None:
    class Full(Minutes):
        asked = 0

        async def roll_up(self, minutes_kept_ms: int, hours_kept_ms: int, limit: int) -> int:
            self.asked += 1
            return limit

    store, leading = Full(clock), False
    rolling = RollUp(store, 1, 1, leading=lambda: leading)
    await rolling.tick()
    assert store.asked == 0
    leading = True
    await rolling.tick()
    assert 1 < store.asked <= 20
