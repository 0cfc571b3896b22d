"""The engine as a whole: background loops, extensions, stopping, counters and bounds."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from queen import errors
from queen.engine.engine import Engine
from queen.engine.limits import Limits
from queen.engine.maintenance.loop import Loop
from queen.engine.stats import RATE_WINDOW_S, Stats
from queen.settings import EngineSettings
from tests.support.builders import ack, ids_of, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

HOUR_MS = 3_600_000


def now() -> float:
    return asyncio.get_running_loop().time()


# Background loops.


@in_virtual_time
async def test_work_that_other_servers_stored_is_found_within_a_sweep() -> None:
    store = MemoryStore()
    async with open_engine(store) as other, open_engine(store, loops=True, sweep_ms=5000) as engine:
        poll = asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS))
        await asyncio.sleep(200)  # A parked poll counts as use, however long it waits.
        start = now()
        await push(other, "a")
        assert ids_of(await poll) == ["a"]
        assert now() - start < 7


@in_virtual_time
async def test_groups_that_nobody_asks_for_are_swept_no_more_and_then_forgotten() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True) as engine:
        await pop(engine, group="g")
        await asyncio.sleep(100)
        store.trouble.calls.clear()
        await asyncio.sleep(100)
        assert store.trouble.calls["ready_partitions"] == 0
        await asyncio.sleep(600)
        queue = engine.catalog.queue("orders")
        assert queue is not None
        assert queue.groups == {}
        await push(engine, "a")
        assert ids_of(await pop(engine, group="g")) == ["a"]


@in_virtual_time
async def test_old_rows_of_leases_are_removed() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True) as engine:
        for n in "12":
            await push(engine, n, partition=n)
        await ack(engine, await pop(engine, partitions=2))
        assert len(store.leases) == 1
        await asyncio.sleep(3600)
        store.advance(10)
        await asyncio.sleep(120)
        assert store.leases == {}


@in_virtual_time
async def test_a_loop_survives_its_failures() -> None:
    ticks = itertools.count()

    async def tick() -> None:
        number = next(ticks)
        if number < 2:
            raise errors.StoreUnavailable("away") if number else ZeroDivisionError("bug")

    loop = Loop("test", tick, 10)
    loop.start()
    await asyncio.sleep(100)
    await loop.stop()
    count = next(ticks)
    assert 9 <= count <= 11
    await asyncio.sleep(100)
    assert next(ticks) == count + 1, "stopped means stopped"
    await loop.stop()


@in_virtual_time
async def test_a_loop_can_be_stopped_in_the_middle_of_a_tick() -> None:
    entered, never = asyncio.Event(), asyncio.Event()

    async def tick() -> None:
        entered.set()
        await never.wait()

    loop = Loop("test", tick, 1)
    loop.start()
    await entered.wait()
    await loop.stop()


# Extensions.


@in_virtual_time
async def test_an_extended_lease_holds_longer_here_and_in_the_database() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        request = await pop(engine, lease_ms=30_000)
        extended = await engine.extend(request.lease_id, 100)
        assert extended.renewed == 1
        assert extended.until_us is not None
        assert 99 < (extended.until_us - store.now()) / 1e6 <= 100
        await asyncio.sleep(60)
        assert ids_of(await pop(engine)) == []
        assert [result.error for result in await ack(engine, request)] == [None]
        assert engine.stats.counters.leases_extended == 1


@in_virtual_time
async def test_every_partition_of_a_lease_is_extended() -> None:
    async with open_engine(MemoryStore()) as engine:
        for n in "123":
            await push(engine, n, partition=n)
        request = await pop(engine, partitions=3, lease_ms=30_000)
        assert (await engine.extend(request.lease_id, 100)).renewed == 3


@in_virtual_time
async def test_seconds_of_an_extension_are_bounded() -> None:
    store = MemoryStore()
    async with open_engine(store, lease_seconds_max=1000) as engine:
        await push(engine, "a")
        request = await pop(engine, lease_ms=1)
        for asked, given in ((-5, 1), (10**15, 1000)):
            extended = await engine.extend(request.lease_id, asked)
            assert extended.until_us is not None
            assert given - 0.1 < (extended.until_us - store.now()) / 1e6 <= given


@pytest.mark.parametrize(
    "lease_id",
    [
        "",
        "x",
        "zzzzzzzz-0a11-7d02-8c44-9b1e2d3c4f50",
        "01990f3f-0a11-4d02-8c44-9b1e2d3c4f50",
        "01990f3f-0a11-7d02-8c44-00000000004d",
        "ä" * 36,
    ],
)
def test_a_lease_id_that_stands_for_nothing_extends_nothing(lease_id: str) -> None:
    @in_virtual_time
    async def whole() -> None:
        async with open_engine(MemoryStore()) as engine:
            assert tuple(await engine.extend(lease_id, 60)) == (0, None)

    whole()


@in_virtual_time
async def test_an_expired_lease_stays_expired() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        request = await pop(engine, lease_ms=1000)
        await asyncio.sleep(10)
        assert (await engine.extend(request.lease_id, 60)).renewed == 0


# Stopping.


@in_virtual_time
async def test_stop_finishes_what_is_in_flight() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        gate = store.trouble.block("push")
        pushing = asyncio.ensure_future(push(engine, "b"))
        await gate.reached()
        stopping = asyncio.ensure_future(engine.stop(60))
        await settle()
        assert not stopping.done()
        gate.open()
        assert (await pushing).chunks[0].base == 1
        await stopping


@in_virtual_time
async def test_stop_gives_up_after_its_time() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        number = (await push(engine, "a")).chunks[0].partition.id
        store.trouble.block("push")
        store.locked.add(number)
        flying = asyncio.ensure_future(push(engine, "b", partition="us"))
        behind = [asyncio.ensure_future(push(engine, str(n))) for n in range(3)]
        await settle()
        start = now()
        await engine.stop(5)
        assert now() - start == 5
        for request in await asyncio.gather(flying, *behind):
            assert request.chunks[0].error is not None
            assert request.chunks[0].error.code == "shutting_down"
        assert engine.limits.pending_bytes == 0


@in_virtual_time
async def test_stop_does_not_wait_for_a_locked_partition_for_ever() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        store.locked.add((await push(engine, "a")).chunks[0].partition.id)
        waiting = asyncio.ensure_future(push(engine, "b"))
        await settle()
        await engine.stop(5)
        request = await waiting
        assert request.chunks[0].error is not None
        assert request.chunks[0].error.code == "shutting_down"


@in_virtual_time
async def test_stop_of_an_idle_engine_takes_no_time_and_leaves_no_task() -> None:
    engine = Engine(MemoryStore(), EngineSettings())
    engine.start()
    await pop(engine)
    start = now()
    await engine.stop(60)
    assert now() == start
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_acks_are_taken_while_draining() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        request = await pop(engine)
        engine.drain()
        assert [result.error for result in await ack(engine, request)] == [None]


# Counters and bounds.


def test_rates_are_those_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("queen.engine.stats.time.monotonic", lambda: clock[0])
    stats = Stats()
    assert stats.rates() == (0.0, 0.0)
    for _ in range(3 * RATE_WINDOW_S):
        clock[0] += 1
        stats.counters.push_messages += 100
        stats.counters.push_requests += 2
        stats.counters.pop_requests += 2
        stats.counters.ack_requests += 1
        stats.sample()
    assert stats.rates() == (100.0, 5.0)
    for _ in range(RATE_WINDOW_S + 1):
        clock[0] += 1
        stats.sample()
    assert stats.rates() == (0.0, 0.0)
    assert stats.snapshot()["push_messages"] == 3000


def test_rates_count_what_came_since_the_last_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("queen.engine.stats.time.monotonic", lambda: clock[0])
    stats = Stats()
    clock[0] += 0.5
    stats.counters.push_messages = 10
    assert stats.rates()[0] == 20.0


def test_pending_bytes_are_bounded_and_one_request_always_passes() -> None:
    limits = Limits(EngineSettings(pending_bytes_max=100))
    limits.admit_push(1000)
    with pytest.raises(errors.Overloaded) as refusal:
        limits.admit_push(1)
    assert refusal.value.retry_after_ms > 0
    limits.release_push(1000)
    limits.admit_push(60)
    limits.admit_push(40)
    with pytest.raises(errors.Overloaded):
        limits.admit_push(1)
    assert (limits.pending_bytes, limits.refused) == (100, 2)


def test_parked_polls_are_bounded() -> None:
    limits = Limits(EngineSettings(parked_polls_max=2))
    limits.admit_poll()
    limits.admit_poll()
    with pytest.raises(errors.Overloaded) as refusal:
        limits.admit_poll()
    assert refusal.value.hint
    limits.release_poll()
    limits.admit_poll()
    assert (limits.parked_polls, limits.refused) == (2, 1)


def test_payloads_are_bounded() -> None:
    limits = Limits(EngineSettings(payload_bytes_max=1024))
    limits.check_payload(1024)
    with pytest.raises(errors.PayloadTooLarge) as refusal:
        limits.check_payload(1025)
    assert "1025" in refusal.value.message


@in_virtual_time
async def test_sizes_say_what_is_in_memory() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        await pop(engine)
        sizes = engine.sizes()
        assert (sizes["leases"], sizes["push_flushes"], sizes["pop_flushes"], sizes["ack_flushes"]) == (1, 1, 1, 0)
        assert (sizes["pending_push_bytes"], sizes["parked_polls"], sizes["refused"]) == (0, 0, 0)
