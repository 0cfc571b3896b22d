"""Consumers that keep up look for messages at a distance; with a backlog, and after a pause, they look at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.builders import ack, ids_of, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time
from tests.support.memory_store import MemoryStore


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_a_look_that_found_little_makes_the_next_one_wait() -> None:
    store = MemoryStore()
    async with open_engine(store, pop_gather_ms=5) as engine:
        await push(engine, "a", "b")
        began_at = now()
        await ack(engine, await pop(engine))
        assert now() == began_at, "the first look waits for nothing"
        await push(engine, "c")
        assert ids_of(await pop(engine)) == ["c"]
        assert now() - began_at == pytest.approx(0.005)


@in_virtual_time
async def test_what_comes_meanwhile_is_taken_together() -> None:
    store = MemoryStore()
    async with open_engine(store, pop_gather_ms=5) as engine:
        for n in range(4):
            await push(engine, f"first{n}", partition=f"p{n}")
            await ack(engine, await pop(engine))
        store.trouble.calls.clear()
        waiting = asyncio.create_task(pop(engine, wait_ms=1_000, partitions=10))
        for n in range(4):
            await push(engine, f"m{n}", partition=f"p{n}")
            await asyncio.sleep(0.001)
        assert sorted(ids_of(await waiting)) == ["m0", "m1", "m2", "m3"]
        assert store.trouble.calls["pop"] == 1


@in_virtual_time
async def test_a_full_look_makes_nobody_wait() -> None:
    store = MemoryStore()
    async with open_engine(store, pop_gather_ms=5) as engine:
        await push(engine, "a", "b", "c")
        began_at = now()
        for name in "abc":
            request = await pop(engine, batch=1)
            assert ids_of(request) == [name]
            await ack(engine, request)
        assert now() == began_at


@in_virtual_time
async def test_after_a_pause_a_look_begins_at_once() -> None:
    store = MemoryStore()
    async with open_engine(store, pop_gather_ms=5) as engine:
        await push(engine, "a")
        await ack(engine, await pop(engine))
        await asyncio.sleep(0.005)
        began_at = now()
        await push(engine, "b")
        assert ids_of(await pop(engine)) == ["b"]
        assert now() == began_at
