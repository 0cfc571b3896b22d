"""Scheduled messages in the engine: placed on time, waiting pops woken, and nothing asked in between."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.catalog import Catalog
from queen.engine.maintenance.placing import Placing
from queen.engine.stats import Stats
from queen.engine.transaction import Pushed
from queen.model import Due, NewMessage
from queen.settings import EngineSettings
from queen.store.base import Stored
from tests.engine.cluster import open_cluster
from tests.support.builders import ack, ids_of, message, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


def later(name: str, seconds: float, partition: str = "eu", payload: bytes = b"1") -> NewMessage:
    """A message for later."""
    return NewMessage("orders", partition, name.encode(), payload, None, None, Due(None, round(seconds * 1000)))


@in_virtual_time
async def test_a_poll_at_one_server_hears_of_messages_that_the_leader_places() -> None:
    """The leader never heard of their partition: a server stored them, and is not the one to see to them."""
    store = MemoryStore()
    async with open_cluster(store, scheduled_check_ms=5000) as [one, two]:
        assert one.presence.leading
        await two.push([later("a", 60)])
        task = asyncio.ensure_future(pop(two, wait_ms=600_000))
        began_at = now()
        assert ids_of(await task) == ["a"]
        assert 60 <= now() - began_at < 61


@in_virtual_time
async def test_a_waiting_pop_gets_a_scheduled_message_when_it_is_due() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True) as engine:
        task = asyncio.ensure_future(pop(engine, wait_ms=60_000))
        await asyncio.sleep(1)
        began_at = now()
        await engine.push([later("a", 7.5)])
        assert ids_of(await task) == ["a"]
        assert 7.5 <= now() - began_at < 7.6
        counters = engine.stats.counters
        assert (counters.push_messages, counters.push_scheduled, counters.scheduled_placed) == (1, 1, 1)


@in_virtual_time
async def test_an_earlier_message_does_not_wait_for_one_that_was_known_before() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True, scheduled_check_ms=60_000) as engine:
        began_at, found = now(), []
        await engine.push([later("c", 30), later("b", 20, "us")])
        await engine.push([later("a", 10)])
        for _ in range(3):
            request = await pop(engine, wait_ms=60_000)
            found.append((ids_of(request), now() - began_at))
            await ack(engine, request)
        assert [names for names, _ in found] == [["a"], ["b"], ["c"]]
        assert [at for _, at in found] == pytest.approx([10, 20, 30], abs=0.1)


@in_virtual_time
async def test_a_transaction_schedules_too() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True, scheduled_check_ms=60_000) as engine:
        results = await engine.transact([later("a", 3), message("b")], [])
        assert [one.stored.offset for one in results if isinstance(one, Pushed)] == [-1, 0]
        request = await pop(engine)
        assert ids_of(request) == ["b"]
        await ack(engine, request)
        began_at = now()
        assert ids_of(await pop(engine, wait_ms=60_000)) == ["a"]
        assert now() - began_at < 3.1


@in_virtual_time
async def test_nothing_is_asked_but_for_the_rare_look() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True, scheduled_check_ms=5000) as engine:
        await push(engine, "a")
        await engine.push([later("b", 3600)])
        await asyncio.sleep(1)
        before = store.trouble.calls["place_due"]
        await asyncio.sleep(100)
        assert 18 <= store.trouble.calls["place_due"] - before <= 21


@in_virtual_time
async def test_messages_that_another_server_stored_are_found_by_the_look() -> None:
    store = MemoryStore()
    async with open_engine(store) as other, open_engine(store, loops=True, scheduled_check_ms=5000) as engine:
        task = asyncio.ensure_future(pop(engine, wait_ms=60_000))
        await asyncio.sleep(1)
        await other.push([later("a", 20)])
        began_at = now()
        assert ids_of(await task) == ["a"]
        assert now() - began_at < 20.1


@in_virtual_time
async def test_who_does_not_lead_sees_to_its_own_near_messages_only() -> None:
    store = MemoryStore()
    settings = EngineSettings(scheduled_check_ms=5000)
    placing = Placing(store, Catalog(store, 100), Stats(), settings, leading=lambda: False)
    async with open_engine(store) as engine:
        placing.start()
        await engine.push([later("a", 2), later("b", 6), later("far", 100)])
        placing.note(100_000)
        await asyncio.sleep(150)
        assert store.trouble.calls["place_due"] == 0
        await engine.push([later("c", 1)])
        placing.note(1000)
        await asyncio.sleep(1.1)
        assert [one.transaction_id for one in store.messages("orders", "eu")] == [b"a", b"b", b"far", b"c"]
        await asyncio.sleep(10)
        assert store.trouble.calls["place_due"] == 1
        await placing.stop()


@in_virtual_time
async def test_a_backlog_is_placed_in_as_many_calls_as_it_needs() -> None:
    store = MemoryStore()
    async with open_engine(store) as writer:
        await writer.push([later(f"m{n:03}", 1 + n / 1000) for n in range(250)])
    store.advance(100)
    async with open_engine(store, loops=True, push_messages_max=100) as engine:
        request = await pop(engine, wait_ms=60_000, batch=1000)
        await ack(engine, request)
        found = ids_of(request)
        while len(found) < 250:
            request = await pop(engine, wait_ms=60_000, batch=1000)
            found += ids_of(request)
            await ack(engine, request)
        assert found == [f"m{n:03}" for n in range(250)]
        assert store.trouble.calls["place_due"] <= 4


@in_virtual_time
async def test_a_locked_partition_delays_no_other_and_follows_when_it_is_free() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True, scheduled_check_ms=60_000) as engine:
        await engine.push([later("a", 1, "eu"), later("b", 1, "us")])
        [locked] = [p.id for p in store.partitions.values() if p.name == "eu"]
        store.locked.add(locked)
        await asyncio.sleep(1.1)
        assert [len(store.messages("orders", name)) for name in ("eu", "us")] == [0, 1]
        await asyncio.sleep(2)
        await store.unlock(locked)
        await asyncio.sleep(0.2)
        assert len(store.messages("orders", "eu")) == 1


@in_virtual_time
async def test_trouble_with_the_database_is_survived() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True, scheduled_check_ms=60_000) as engine:
        await engine.push([later("a", 1)])
        store.trouble.fail("place_due", errors.StoreUnavailable("away"), RuntimeError("odd"))
        await asyncio.sleep(4)
        assert len(store.messages("orders", "eu")) == 1


# Push.


@in_virtual_time
async def test_a_message_for_later_wakes_nobody_now() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        task = asyncio.ensure_future(pop(engine, wait_ms=60_000))
        await asyncio.sleep(1)
        looks = store.trouble.calls["pop"]
        await engine.push([later("a", 3600)])
        await engine.transact([later("b", 3600)], [])
        await asyncio.sleep(1)
        assert store.trouble.calls["pop"] == looks
        assert ids_of(await task) == []


@in_virtual_time
async def test_a_chunk_may_mix_and_ordinary_partitions_go_the_fast_way() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        request = await engine.push(
            [message("a"), later("b", 60), message("c"), message("x", "us"), later("d", 60), message("y", "us")]
        )
        mixed, plain = request.chunks
        assert mixed.stored is not None
        assert [row.offset for row in mixed.stored] == [0, -1, 1, -2]
        assert (plain.stored, plain.base) == (None, 0)
        assert store.trouble.calls == {"resolve": 1, "push": 1, "push_deduplicating": 1}


@in_virtual_time
async def test_ordinary_messages_do_not_overtake_those_pushed_with_scheduled_ones() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "first")
        gate = store.trouble.block("push")
        tasks = [asyncio.ensure_future(push(engine, "elsewhere", partition="us"))]
        await gate.reached()
        # These gather, and leave in one flush.
        tasks.append(asyncio.ensure_future(engine.push([later("s", 60), message("a")])))
        tasks += [asyncio.ensure_future(push(engine, name)) for name in ("b", "c")]
        await settle()
        gate.open()
        await asyncio.gather(*tasks)
        assert [one.transaction_id for one in store.messages("orders", "eu")] == [b"first", b"a", b"b", b"c"]


@in_virtual_time
async def test_trouble_of_the_fast_way_does_not_touch_scheduled_ones() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await engine.push([message("w"), message("w", "us")])
        gate = store.trouble.block("push_deduplicating")
        store.trouble.fail("push", errors.StoreUnavailable("away"))
        task = asyncio.ensure_future(engine.push([later("a", 60), message("x", "us")]))
        await gate.reached()
        await settle()
        gate.open()
        scheduled, plain = (await task).chunks
        assert scheduled.error is None
        assert scheduled.stored == [Stored(-1, False, 60_000)]
        assert plain.error is not None
        assert plain.error.code == "store_unavailable"
        again = await engine.push([later("a", 60)])
        assert again.chunks[0].stored == [Stored(-1, True)]


@in_virtual_time
async def test_a_large_push_may_hold_scheduled_ones() -> None:
    store = MemoryStore()
    async with open_engine(store, push_messages_max=10) as engine:
        request = await engine.push([later(f"{n}", 60) if n % 2 else message(f"{n}") for n in range(25)])
        stored = request.chunks[0].stored
        assert stored is not None
        assert [row.offset for row in stored if row.due_ms is None] == list(range(13))
        assert [row.offset for row in stored if row.due_ms is not None] == list(range(-1, -13, -1))


@in_virtual_time
async def test_one_that_cannot_be_stored_fails_alone() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        good, bad = await asyncio.gather(
            engine.push([later("a", 60)]), engine.push([later("b", 60, "us", payload=b'"\x00"')])
        )
        assert good.chunks[0].error is None
        assert bad.chunks[0].error is not None


@in_virtual_time
async def test_a_repeated_push_stores_a_scheduled_message_once_and_places_it_on_time() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True, scheduled_check_ms=60_000) as engine:
        await engine.catalog.ensure_queue("orders")
        # It is stored, and the answer is lost.
        store.trouble.fail_after("push_deduplicating", errors.StoreUnavailable("the connection broke", unknown=True))
        began_at = now()
        [chunk] = (await engine.push([later("a", 5)])).chunks
        assert chunk.stored is not None
        assert chunk.stored[0].offset == -1
        assert store.trouble.calls["push_deduplicating"] == 2
        await asyncio.sleep(began_at + 5.1 - now())
        assert [one.transaction_id for one in store.messages("orders", "eu")] == [b"a"]
