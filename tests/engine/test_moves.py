"""Groups that are sought or deleted under way: polls stay and wake, and nothing that was known before is believed."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.ack import STALE_LEASE
from queen.engine.engine import Engine
from queen.engine.news import News, decode, encode
from tests.engine.cluster import elapsed, now, open_cluster
from tests.support.builders import ack, ids_of, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_rows import CursorState
from tests.support.memory_store import MemoryStore

HOUR_MS = 3_600_000
SOON_S = 0.5
NAMES = ["a", "b", "c"]


def seek(store: MemoryStore, engine: Engine, offset: int, partition_id: int = 0) -> None:
    """As the routes do it, for group g: this offset is next, in one partition or in all."""
    for (number, group), cursor in store.cursors.items():
        if group == b"g" and partition_id in (0, number):
            store.cursors[number, group] = CursorState(offset - 1, offset - 1, epoch=cursor.epoch)
    queue = engine.catalog.queue("orders")
    engine.group_sought(queue.id if queue is not None else 1, "g", partition_id)


async def consumed(engine: Engine) -> int:
    """Three messages that group g has consumed; the id of their partition."""
    partition = (await push(engine, *NAMES)).chunks[0].partition
    await ack(engine, await pop(engine, group="g"))
    return partition.id


@pytest.mark.parametrize("whole", [True, False])
def test_a_parked_poll_is_woken_by_a_seek_back(whole: bool) -> None:
    @in_virtual_time
    async def check() -> None:
        store = MemoryStore()
        async with open_engine(store) as engine:
            partition_id = await consumed(engine)
            poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS))
            await settle()
            since = now()
            seek(store, engine, 1, 0 if whole else partition_id)
            assert ids_of(await poll) == ["b", "c"]
            assert elapsed(since) < SOON_S

    check()


@in_virtual_time
async def test_a_seek_wakes_a_poll_for_each_partition() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        for partition in "xyz":
            await push(engine, partition, partition=partition)
        while (got := await pop(engine, group="g")).spans:
            await ack(engine, got)
        polls = [asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS)) for _ in range(3)]
        await settle()
        seek(store, engine, 0)
        assert sorted(ids_of(request)[0] for request in await asyncio.gather(*polls)) == ["x", "y", "z"]


@in_virtual_time
async def test_a_seek_to_the_end_leaves_a_poll_parked_until_something_comes() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, *NAMES)
        held = await pop(engine, group="g", batch=1)
        poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS))
        await settle()
        seek(store, engine, 3)
        await asyncio.sleep(60)
        assert not poll.done()
        await push(engine, "d")
        assert ids_of(await poll) == ["d"], "the lease of before does not hold it back"
        assert [result.error for result in await ack(engine, held)] == [STALE_LEASE]


@pytest.mark.parametrize("whole", [True, False])
def test_what_a_lease_held_is_free_at_once(whole: bool) -> None:
    @in_virtual_time
    async def check() -> None:
        store = MemoryStore()
        async with open_engine(store) as engine:
            partition_id = (await push(engine, *NAMES)).chunks[0].partition.id
            held = await pop(engine, group="g", batch=2)
            assert len(engine.leases) == 1
            seek(store, engine, 0, 0 if whole else partition_id)
            assert len(engine.leases) == 0
            again = await pop(engine, group="g")
            assert ids_of(again) == NAMES
            assert {result.error for result in await ack(engine, held)} == {STALE_LEASE}
            assert {result.error for result in await ack(engine, again)} == {None}

    check()


@in_virtual_time
async def test_a_pop_whose_lease_a_seek_ended_on_its_way_hides_nothing() -> None:
    """Its answer comes after the seek and looks like a fresh lease; the group must not wait for its end."""
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, *NAMES)
        await pop(engine, group="g", batch=1, lease_ms=1)
        await asyncio.sleep(2)
        gate = store.trouble.block("pop", after=True)
        late = asyncio.ensure_future(pop(engine, group="g", lease_ms=HOUR_MS))
        await gate.reached()
        poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS))
        seek(store, engine, 0)
        await settle()
        gate.open()
        since = now()
        results = await asyncio.gather(late, poll)
        assert [ids_of(one) for one in results] == [NAMES, NAMES]
        assert elapsed(since) < SOON_S
        assert {result.error for result in await ack(engine, results[0])} == {STALE_LEASE}
        assert {result.error for result in await ack(engine, results[1])} == {None}


@in_virtual_time
async def test_a_pop_on_its_way_that_leases_after_the_seek_keeps_its_lease() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, *NAMES)
        await pop(engine, group="g", batch=1, lease_ms=1)
        await asyncio.sleep(2)
        gate = store.trouble.block("pop")
        late = asyncio.ensure_future(pop(engine, group="g", lease_ms=HOUR_MS))
        await gate.reached()
        seek(store, engine, 0)
        gate.open()
        request = await late
        poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=60_000))
        await asyncio.sleep(30)
        assert not poll.done()
        assert {result.error for result in await ack(engine, request)} == {None}
        assert ids_of(await poll) == []


@in_virtual_time
async def test_a_sweep_that_began_before_the_seek_does_not_count() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await consumed(engine)
        queue = engine.catalog.queue("orders")
        assert queue is not None
        poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS))
        await settle()
        gate = store.trouble.block("ready_partitions", after=True)
        seek(store, engine, 3)
        await gate.reached()
        seek(store, engine, 0)
        gate.open()
        assert ids_of(await asyncio.wait_for(poll, SOON_S)) == NAMES


@in_virtual_time
async def test_a_sweep_that_fails_is_repeated() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await consumed(engine)
        poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS))
        await settle()
        store.trouble.fail("ready_partitions", *[errors.StoreUnavailable("away")] * 3)
        seek(store, engine, 0)
        assert ids_of(await asyncio.wait_for(poll, 10)) == NAMES


@in_virtual_time
async def test_a_sweep_that_fails_behind_one_that_does_not_count_is_repeated() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await consumed(engine)
        poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS))
        await settle()
        gate = store.trouble.block("ready_partitions", after=True)
        seek(store, engine, 3)
        await gate.reached()
        seek(store, engine, 0)
        store.trouble.fail("ready_partitions", errors.StoreUnavailable("away"))
        gate.open()
        assert ids_of(await asyncio.wait_for(poll, 10)) == NAMES


@in_virtual_time
async def test_what_was_too_young_before_is_looked_at_again() -> None:
    store = MemoryStore()
    store.configure("orders", delayedProcessing=100)
    async with open_engine(store) as engine:
        await push(engine, "old")
        await asyncio.sleep(150)
        await ack(engine, await pop(engine, group="g"))
        await push(engine, "young")
        poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS))
        await settle()
        assert not poll.done()
        seek(store, engine, 0)
        assert ids_of(await asyncio.wait_for(poll, SOON_S)) == ["old"]


@in_virtual_time
async def test_a_pop_on_its_way_that_finds_messages_too_young_is_not_believed() -> None:
    store = MemoryStore()
    store.configure("orders", delayedProcessing=100)
    async with open_engine(store) as engine:
        await push(engine, "old")
        await asyncio.sleep(150)
        await ack(engine, await pop(engine, group="g"))
        await push(engine, "young")
        gate = store.trouble.block("pop", after=True)
        poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS))
        await gate.reached()
        seek(store, engine, 0)
        await settle()
        gate.open()
        assert ids_of(await asyncio.wait_for(poll, SOON_S)) == ["old"]


@in_virtual_time
async def test_other_groups_keep_what_they_have() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, *NAMES)
        held = await pop(engine, group="other")
        await pop(engine, group="g", lease_ms=1000)
        seek(store, engine, 0)
        assert {result.error for result in await ack(engine, held)} == {None}


@in_virtual_time
async def test_a_seek_of_what_nobody_here_reads_costs_nothing() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, *NAMES)
        store.trouble.calls.clear()
        engine.group_sought(1, "g")
        engine.group_sought(99, "g", 5)
        await settle()
        assert not store.trouble.calls


# Other servers.


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("deaf", [True, False])
def test_a_seek_on_one_server_wakes_a_poll_on_the_other(whole: bool, deaf: bool) -> None:
    @in_virtual_time
    async def check() -> None:
        store = MemoryStore()
        async with open_cluster(store, deaf=deaf) as [one, two]:
            partition_id = await consumed(one)
            poll = asyncio.ensure_future(pop(two, group="g", wait_ms=HOUR_MS))
            await asyncio.sleep(5)
            since = now()
            seek(store, one, 1, 0 if whole else partition_id)
            assert ids_of(await poll) == ["b", "c"]
            assert elapsed(since) < (1.5 if deaf else SOON_S)

    check()


@pytest.mark.parametrize("whole", [True, False])
def test_a_seek_on_one_server_frees_what_the_other_handed_out(whole: bool) -> None:
    @in_virtual_time
    async def check() -> None:
        store = MemoryStore()
        async with open_cluster(store) as [one, two]:
            partition_id = (await push(one, *NAMES)).chunks[0].partition.id
            await pop(two, group="g", lease_ms=HOUR_MS)
            poll = asyncio.ensure_future(pop(two, group="g", wait_ms=HOUR_MS))
            await asyncio.sleep(1)
            seek(store, one, 0, 0 if whole else partition_id)
            assert ids_of(await asyncio.wait_for(poll, SOON_S)) == NAMES

    check()


@in_virtual_time
async def test_a_partition_that_the_other_server_does_not_know_is_looked_up() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        partition_id = await consumed(one)
        poll = asyncio.ensure_future(pop(two, group="g", wait_ms=HOUR_MS))
        await asyncio.sleep(1)
        partition = two.catalog.by_id(partition_id)
        assert partition is not None
        two.catalog.forget_partition(partition)
        store.trouble.fail("partition_names", errors.StoreUnavailable("away"))
        seek(store, one, 2, partition_id)
        assert ids_of(await asyncio.wait_for(poll, 5)) == ["c"]


@in_virtual_time
async def test_a_group_that_left_a_queue_begins_anew_there_on_all_servers() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await consumed(two)
        assert ids_of(await pop(two, group="g")) == []
        store.delete_group("g")
        queue = two.catalog.queue("orders")
        assert queue is not None
        one.group_left(queue.id, "g")
        await asyncio.sleep(SOON_S)
        assert ids_of(await pop(two, group="g")) == NAMES


def test_news_of_groups_travel_as_they_are() -> None:
    news = News(left=[(1, "g")], sought=[(2, "h", 3), (4, "\N{HONEYBEE}", 0)])
    assert decode(encode(news)) == news
    assert decode('{"h":true,"z":[1]}') == News(hello=True), "a newer server may say more"
