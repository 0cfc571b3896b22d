"""Pushes whose connection broke before the answer: repeated under the same ids, in order, for a while, and counted."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.repeat import claim
from queen.store.base import Stored
from tests.engine.test_push import outcomes, stored
from tests.support.builders import open_engine, pop, push
from tests.support.fake_clock import in_virtual_time
from tests.support.memory_store import MemoryStore


def broken() -> errors.StoreUnavailable:
    return errors.StoreUnavailable("the connection broke", unknown=True)


@in_virtual_time
async def test_what_was_not_stored_is_stored_by_the_repetition() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "warm")
        store.trouble.fail("push", broken())
        store.trouble.fail("push_deduplicating", broken(), errors.StoreUnavailable("away"), errors.PoolTimeout("busy"))
        assert outcomes(await push(engine, "a", "b")) == [[Stored(1, False), Stored(2, False)]]
        assert stored(store) == ["warm", "a", "b"]
        assert engine.stats.counters.push_repeats == 1
        assert engine.limits.pending_bytes == 0


@in_virtual_time
async def test_what_the_first_try_stored_is_no_duplicate() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "warm")
        store.trouble.fail_after("push", broken())
        assert outcomes(await push(engine, "a", "b")) == [[Stored(1, False), Stored(2, False)]]
        assert stored(store) == ["warm", "a", "b"]
        assert engine.stats.counters.push_duplicates == 0


@in_virtual_time
async def test_what_was_stored_long_before_is_a_duplicate_also_in_a_repetition() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        store.trouble.fail("push", broken())
        assert outcomes(await push(engine, "a", "b")) == [[Stored(0, True), Stored(1, False)]]
        store.trouble.fail_after("push_deduplicating", broken())
        assert outcomes(await push(engine, "b", "c")) == [[Stored(1, True), Stored(2, False)]]
        assert stored(store) == ["a", "b", "c"]


@in_virtual_time
async def test_later_pushes_of_the_partition_wait_and_those_of_others_do_not() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "warm")
        await push(engine, "warm", partition="us")
        store.trouble.fail("push", broken())
        gate = store.trouble.block("push_deduplicating")
        first = asyncio.ensure_future(push(engine, "a"))
        await gate.reached()
        second = asyncio.ensure_future(push(engine, "b"))
        assert outcomes(await push(engine, "x", partition="us")) == [1]
        assert not second.done()
        gate.open()
        await asyncio.gather(first, second)
        assert stored(store) == ["warm", "a", "b"]


@in_virtual_time
async def test_a_partition_that_the_dying_call_still_locks_is_waited_for() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        number = (await push(engine, "warm")).chunks[0].partition.id
        store.trouble.fail_after("push", broken())
        gate = store.trouble.block("push_deduplicating")
        pushed = asyncio.ensure_future(push(engine, "a"))
        await gate.reached()
        store.locked.add(number)
        gate.open()
        await asyncio.sleep(1)
        assert not pushed.done()
        await store.unlock(number)
        assert outcomes(await pushed) == [[Stored(1, False)]]
        assert stored(store) == ["warm", "a"]


@pytest.mark.parametrize("bound_ms", [0, 10_000])
def test_it_ends_after_its_time(bound_ms: int) -> None:
    @in_virtual_time
    async def run() -> None:
        store = MemoryStore()
        async with open_engine(store, push_repeat_ms_max=bound_ms) as engine:
            await push(engine, "warm")
            store.trouble.fail("push", broken())
            store.trouble.fail("push_deduplicating", *[errors.StoreUnavailable("away") for _ in range(1000)])
            began = asyncio.get_running_loop().time()
            request = await push(engine, "a")
            assert outcomes(request) == ["store_unavailable"]
            took_ms = (asyncio.get_running_loop().time() - began) * 1000
            assert bound_ms * 0.8 <= took_ms <= bound_ms
            error = request.chunks[0].error
            assert isinstance(error, errors.StoreUnavailable)
            assert error.unknown
            if bound_ms:
                assert "may or may not be stored" in error.message
                assert store.trouble.calls["push_deduplicating"] < 100, "the pauses grow"

    run()


@in_virtual_time
async def test_nothing_is_repeated_when_nothing_was_sent() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "warm")
        store.trouble.fail("push", errors.PoolTimeout("no connection"))
        assert outcomes(await push(engine, "a")) == ["pool_timeout"]
        assert store.trouble.calls["push_deduplicating"] == 0


@in_virtual_time
async def test_a_queue_without_deduplication_fails_and_its_neighbour_does_not() -> None:
    store = MemoryStore()
    store.configure("logs", dedupWindowSeconds=0)
    async with open_engine(store) as engine:
        for queue in ("logs", "orders"):
            await push(engine, "warm", queue=queue)
            await pop(engine, queue)
        gate = store.trouble.block("push")
        ahead = asyncio.ensure_future(push(engine, "ahead", partition="other"))
        await gate.reached()
        unsafe = asyncio.ensure_future(push(engine, "a", queue="logs"))
        safe = asyncio.ensure_future(push(engine, "b"))
        await asyncio.sleep(0)
        gate.open()
        await ahead
        request, other = await asyncio.gather(unsafe, safe)
        assert outcomes(request) == [1]
        store.trouble.fail("push", broken())
        request, other = await asyncio.gather(push(engine, "c", queue="logs"), push(engine, "d"))
        assert outcomes(request) == ["store_unavailable"]
        assert "does not deduplicate" in str(request.chunks[0].error)
        assert outcomes(other) == [[Stored(2, False)]]


@in_virtual_time
async def test_a_large_push_is_repeated_as_a_whole() -> None:
    store = MemoryStore()
    async with open_engine(store, push_messages_max=2) as engine:
        await push(engine, "warm")
        store.trouble.fail_after("push_together", broken())
        names = [str(number) for number in range(5)]
        assert outcomes(await push(engine, *names)) == [[Stored(n + 1, False) for n in range(5)]]
        assert stored(store) == ["warm", *names]


def yes(offset: int) -> Stored:
    return Stored(offset, True)


def no(offset: int) -> Stored:
    return Stored(offset, False)


def test_claims_need_offsets_side_by_side_above_the_head() -> None:
    assert claim([yes(5), yes(6)], 5) == [no(5), no(6)]
    assert claim([yes(5), yes(7)], 5) == [yes(5), yes(7)], "a gap: these came one by one"
    assert claim([yes(3), yes(5)], 5) == [yes(3), no(5)]
    assert claim([yes(3), yes(4)], 5) == [yes(3), yes(4)]
    assert claim([yes(5), yes(5), yes(6)], 5) == [no(5), yes(5), no(6)]
    assert claim([no(5)], 0) == [no(5)]
    assert claim([], 0) == []
