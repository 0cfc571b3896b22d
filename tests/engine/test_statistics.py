"""When the numbers of queues and groups are computed anew, by whom, and how little that asks of an idle database."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.maintenance.loop import Loop
from queen.engine.maintenance.statistics import TICK_S, Statistics
from queen.engine.stats import Stats
from queen.settings import EngineSettings
from queen.store.kept import Step
from tests.support.fake_clock import in_virtual_time, settle

INTERVAL_S = 10.0


class Pages:
    """A store with so many pages to walk; each takes a while."""

    def __init__(self, pages: int = 1, takes_s: float = 0.02) -> None:
        self.pages = pages
        self.takes_s = takes_s
        self.calls: list[tuple[int, int, str | None]] = []
        self.failures = 0

    @property
    def walks(self) -> int:
        """Walks that were begun."""
        return sum(call == (0, 0, None) for call in self.calls)

    async def step(self, queue_id: int, after: int, carry: str | None) -> Step:
        self.calls.append((queue_id, after, carry))
        await asyncio.sleep(self.takes_s)
        if self.failures:
            self.failures -= 1
            raise errors.StoreUnavailable("away")
        number = after + 1
        if number >= self.pages:
            return Step(None, None, 1, 5, None)
        return Step(1, number, 0, 10, f"sums {number}")


class Bench:
    """The keeper of numbers with its loop, on the clock of the test."""

    def __init__(self, pages: Pages) -> None:
        self.store = pages
        self.stats = Stats()
        self.leading = True
        settings = EngineSettings(statistics_ms=int(INTERVAL_S * 1000))
        self.keeper = Statistics(pages, settings, self.stats, lambda: self.leading)
        self.loop = Loop("statistics", self.keeper.tick, TICK_S)

    async def run(self, seconds: float) -> int:
        """Calls made in this time."""
        before = len(self.store.calls)
        self.loop.start()
        await asyncio.sleep(seconds)
        await self.loop.stop()
        return len(self.store.calls) - before


@in_virtual_time
async def test_the_first_walk_begins_soon_and_goes_page_by_page() -> None:
    bench = Bench(Pages(4))
    await bench.run(5 * TICK_S)
    assert bench.store.calls == [(0, 0, None), (1, 1, "sums 1"), (1, 2, "sums 2"), (1, 3, "sums 3")]


@in_virtual_time
async def test_a_tick_does_a_bounded_part_of_the_walk() -> None:
    bench = Bench(Pages(100))
    await bench.keeper.tick()
    assert len(bench.store.calls) == 3, "as many as begin within 50 ms"
    assert await bench.run(20 * TICK_S) <= 3 * 23


@in_virtual_time
async def test_an_idle_server_walks_once_in_ten_minutes() -> None:
    bench = Bench(Pages())
    await bench.run(3600.0)
    assert 6 <= bench.store.walks <= 7


@in_virtual_time
async def test_an_idle_server_with_a_hundred_thousand_partitions_asks_less_than_once_in_ten_seconds() -> None:
    bench = Bench(Pages(50))
    assert await bench.run(3600.0) <= 360


@in_virtual_time
@pytest.mark.parametrize("counter", ["push_messages", "pop_messages", "ack_messages", "announcements_received"])
async def test_while_work_goes_on_a_walk_begins_every_interval(counter: str) -> None:
    bench = Bench(Pages())
    bench.loop.start()
    for _ in range(600):
        setattr(bench.stats.counters, counter, getattr(bench.stats.counters, counter) + 1)
        await asyncio.sleep(1)
    await bench.loop.stop()
    assert 50 <= bench.store.walks <= 61


@in_virtual_time
async def test_after_the_last_work_there_is_one_more_walk() -> None:
    bench = Bench(Pages())
    await bench.run(3 * TICK_S)
    bench.stats.counters.push_messages += 1
    await bench.run(5 * INTERVAL_S)
    assert bench.store.walks == 2


@in_virtual_time
async def test_whoever_asks_finds_fresh_numbers_the_next_time() -> None:
    bench = Bench(Pages())
    await bench.run(2 * INTERVAL_S)
    assert bench.store.walks == 1
    bench.keeper.asked()
    await bench.run(3 * TICK_S)
    assert bench.store.walks == 2
    await bench.run(5 * INTERVAL_S)
    assert bench.store.walks == 2


@in_virtual_time
async def test_only_the_leader_walks_and_who_comes_to_lead_begins_anew() -> None:
    bench = Bench(Pages(100))
    bench.leading = False
    assert await bench.run(100.0) == 0
    bench.leading = True
    await bench.keeper.tick()
    bench.leading = False
    await bench.keeper.tick()
    bench.leading = True
    await bench.keeper.tick()
    assert bench.store.walks == 2


@in_virtual_time
async def test_a_page_that_failed_is_tried_again_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(Pages(2))
    bench.store.failures = 1
    await bench.run(5 * TICK_S)
    assert bench.store.calls == [(0, 0, None), (0, 0, None), (1, 1, "sums 1")]
    assert caplog.records == [], "whoever keeps the connections tells of an outage"


@in_virtual_time
async def test_a_refresh_to_order_is_a_whole_walk_also_where_another_leads() -> None:
    bench = Bench(Pages(3))
    bench.leading = False
    done = await bench.keeper.refresh()
    assert (done.queues, done.partitions) == (1, 25)
    assert done.seconds == pytest.approx(0.06)


@in_virtual_time
async def test_those_who_order_during_a_walk_share_the_next() -> None:
    bench = Bench(Pages(3))
    first = asyncio.ensure_future(bench.keeper.refresh())
    await settle()
    others = [asyncio.ensure_future(bench.keeper.refresh()) for _ in range(20)]
    await asyncio.gather(first, *others)
    assert bench.store.walks == 2


@in_virtual_time
async def test_an_order_that_failed_fails_who_ordered_and_nobody_later() -> None:
    bench = Bench(Pages())
    bench.store.failures = 1
    with pytest.raises(errors.StoreUnavailable):
        await bench.keeper.refresh()
    assert (await bench.keeper.refresh()).queues == 1


@in_virtual_time
async def test_stop_ends_what_was_ordered() -> None:
    bench = Bench(Pages(1_000_000))
    order = asyncio.ensure_future(bench.keeper.refresh())
    await settle()
    await bench.keeper.stop()
    with pytest.raises(asyncio.CancelledError):
        await order
