"""maxSize: who is refused, who gets room back, and how many calls it takes to know."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine import room
from queen.engine.engine import Engine
from queen.engine.transaction import AckOperation
from queen.model import QUEUE_MODE
from tests.engine.cluster import elapsed, now, open_cluster
from tests.support.builders import ack, ids_of, items, message, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time
from tests.support.memory_store import MemoryStore


def bounded(size: int, **options: object) -> MemoryStore:
    """A store with a queue of this size."""
    store = MemoryStore()
    store.configure("orders", maxSize=size, **options)
    return store


async def refused(engine: Engine, *names: str, queue: str = "orders") -> errors.QueueFull:
    """Push, and be refused."""
    with pytest.raises(errors.QueueFull) as caught:
        await push(engine, *names, queue=queue)
    return caught.value


@in_virtual_time
async def test_a_push_that_would_go_above_is_refused_and_one_that_fills_it_is_not() -> None:
    store = bounded(3)
    async with open_engine(store) as engine:
        await push(engine, "a", "b")
        error = await refused(engine, "c", "d")
        assert "orders" in error.message
        assert error.hint
        await push(engine, "c")
        await refused(engine, "d")
        assert len(store.messages("orders", "eu")) == 3


@in_virtual_time
async def test_more_than_fits_at_all_is_refused_with_the_word_to_split_it() -> None:
    async with open_engine(bounded(3)) as engine:
        error = await refused(engine, "a", "b", "c", "d")
        assert "split" in str(error.hint)
        await push(engine, "a", "b", "c")


@in_virtual_time
async def test_what_was_there_before_this_server_counts() -> None:
    store = bounded(3)
    async with open_engine(store) as one, open_engine(store) as two:
        await push(one, "a", "b", "c")
        await refused(two, "d")


@in_virtual_time
async def test_consumers_make_room() -> None:
    store = bounded(2)
    async with open_engine(store, loops=True) as engine:
        await push(engine, "a", "b")
        await refused(engine, "c")
        batch = await pop(engine, batch=1)
        await asyncio.sleep(0.5)
        await push(engine, "c")
        await refused(engine, "d")
        await ack(engine, batch)
        await asyncio.sleep(0.5)
        await refused(engine, "d")  # What was leased did not count before either.
        await ack(engine, await pop(engine))
        await asyncio.sleep(0.5)
        await push(engine, "d", "e")


@in_virtual_time
async def test_the_slowest_group_counts() -> None:
    store = bounded(2)
    async with open_engine(store, loops=True) as engine:
        assert ids_of(await pop(engine, group="fast")) == []
        assert ids_of(await pop(engine, group="slow")) == []
        await push(engine, "a", "b")
        await ack(engine, await pop(engine, group="fast"))
        await asyncio.sleep(2)
        await refused(engine, "c")
        await ack(engine, await pop(engine, group="slow"))
        await asyncio.sleep(2)
        await push(engine, "c")


@in_virtual_time
async def test_a_request_with_one_full_queue_stores_nothing() -> None:
    store = bounded(1)
    async with open_engine(store) as engine:
        await push(engine, "a")
        with pytest.raises(errors.QueueFull):
            await engine.push([message("b", queue="free"), message("b")])
        assert store.messages("free", "eu") == []
        await push(engine, "b", queue="free")


@in_virtual_time
async def test_pushes_at_once_share_the_room() -> None:
    async with open_engine(bounded(5)) as engine:
        found = await asyncio.gather(*[push(engine, f"m{n}") for n in range(20)], return_exceptions=True)
        assert sum(isinstance(one, errors.QueueFull) for one in found) == 15


@in_virtual_time
async def test_duplicates_and_failures_give_their_room_back() -> None:
    store = bounded(3)
    async with open_engine(store) as engine:
        await push(engine, "a")
        await push(engine, "a")
        store.trouble.fail("push", errors.StoreUnavailable("away"))
        outcome = await push(engine, "b")
        assert outcome.chunks[0].error is not None
        await push(engine, "b", "c")
        await refused(engine, "d")


@in_virtual_time
async def test_a_transaction_is_refused_whole_and_counts() -> None:
    store = bounded(2)
    async with open_engine(store) as engine:
        await push(engine, "x", queue="other")
        [item] = items(await pop(engine, queue="other"))
        await engine.transact([message("a"), message("b")], [])
        with pytest.raises(errors.QueueFull):
            await engine.transact([AckOperation(QUEUE_MODE, item), message("c")], [])
        assert len(store.messages("orders", "eu")) == 2
        [result] = await engine.transact([AckOperation(QUEUE_MODE, item)], [])
        assert result.error is None  # type: ignore[union-attr]


@in_virtual_time
async def test_a_full_queue_is_told_by_another_server_within_a_second() -> None:
    store = bounded(4)
    async with open_cluster(store) as [one, two]:
        await push(one, "a")
        await push(two, "b", "c", "d")
        await asyncio.sleep(1.5)
        await refused(one, "e")


@in_virtual_time
async def test_options_reach_a_server_that_knows_the_queue_already() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a", "b")
        await push(two, "c")
        store.configure("orders", maxSize=3)
        [row] = await store.find_queues(name="orders")
        one.queue_changed(row)
        await asyncio.sleep(0.1)
        await refused(two, "d")
        store.configure("orders", maxSize=0)
        [row] = await store.find_queues(name="orders")
        one.queue_changed(row)
        await asyncio.sleep(0.1)
        await push(two, "d")


@in_virtual_time
async def test_a_server_that_knows_a_queue_by_acks_alone_keeps_its_bound() -> None:
    store = bounded(2)
    async with open_engine(store) as one, open_engine(store) as two:
        await push(one, "a", "b")
        [first, _] = items(await pop(one))
        assert [result.error for result in await two.ack(QUEUE_MODE, [first])] == [None]
        assert two.catalog.partition("orders", "eu") is not None
        await refused(two, "c", "d", "e")


@in_virtual_time
async def test_what_is_read_while_a_queue_is_configured_elsewhere_is_read_again() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a", "b")
        gate = store.trouble.block("resolve", after=True)
        cold = asyncio.ensure_future(push(two, "c"))
        await gate.reached()
        store.configure("orders", maxSize=2)
        [row] = await store.find_queues(name="orders")
        one.queue_changed(row)
        await asyncio.sleep(0.1)
        gate.open()
        with pytest.raises(errors.QueueFull):
            await cold


@in_virtual_time
async def test_other_queues_cost_no_call_and_idle_ones_neither() -> None:
    store = bounded(100)
    async with open_engine(store, loops=True) as engine:
        await push(engine, "a", queue="plain")
        await asyncio.sleep(60)
        assert store.trouble.calls["undelivered"] == 0
        await push(engine, "a")
        await asyncio.sleep(60)
        assert 1 <= store.trouble.calls["undelivered"] <= 12
        before = store.trouble.calls["undelivered"]
        await asyncio.sleep(600)
        assert store.trouble.calls["undelivered"] == before


@in_virtual_time
async def test_many_bounded_queues_are_read_in_few_calls() -> None:
    store = MemoryStore()
    for n in range(120):
        store.configure(f"q{n}", maxSize=10)
    async with open_engine(store, loops=True) as engine:
        await engine.push([message("a", queue=f"q{n}") for n in range(120)])
        store.trouble.calls.clear()
        await asyncio.sleep(1.6)
        assert 3 <= store.trouble.calls["undelivered"] <= 6


@in_virtual_time
async def test_a_push_does_not_wait_long_for_a_reading() -> None:
    store = bounded(3)
    async with open_engine(store, loops=True) as engine:
        gate = store.trouble.block("undelivered")
        start = now()
        await push(engine, "a", "b")
        assert 0 < elapsed(start) < 1
        start = now()
        await refused(engine, "c", "d")
        assert elapsed(start) == 0, "only the first push waits for one reading"
        gate.open()
        await asyncio.sleep(9)  # What was stored during a reading may count twice until the next one.
        await push(engine, "c")


@in_virtual_time
async def test_readings_that_take_long_are_rare() -> None:
    store = bounded(1000)
    async with open_engine(store, loops=True) as engine:
        store.trouble.latency_s = 0.5
        for n in range(120):
            await push(engine, f"m{n}")
        assert store.trouble.calls["undelivered"] <= 15


@in_virtual_time
async def test_a_reading_that_fails_fails_the_push_that_needs_it_and_is_tried_again() -> None:
    store = bounded(3)
    async with open_engine(store) as engine:
        store.trouble.fail("undelivered", errors.StoreUnavailable("away"))
        with pytest.raises(errors.StoreUnavailable):
            await push(engine, "a")
        await push(engine, "a")


def test_large_queues_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PARTITIONS_PER_CALL", 10)
    monkeypatch.setattr(room, "_PARTITIONS_MIN", 5)

    @in_virtual_time
    async def run() -> None:
        store = MemoryStore()
        async with open_engine(store) as one, open_engine(store) as two:
            await one.push([message("a", f"p{n}") for n in range(25)])
            store.configure("orders", maxSize=25)
            await refused(two, "b")
            assert store.trouble.calls["undelivered"] == 3

    run()
