"""Pop maintenance: nothing is delivered while it is on, polls end, and all goes on afterwards, on every server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.cluster import elapsed, now, open_cluster
from tests.support.builders import ack, ids_of, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

HOUR_MS = 3_600_000


@pytest.mark.parametrize("query", [{}, {"auto_ack": True}, {"partition": "eu"}, {"group": "g"}], ids=str)
def test_a_pop_gets_nothing_and_asks_for_nothing(query: dict[str, Any]) -> None:
    @in_virtual_time
    async def run() -> None:
        store = MemoryStore()
        async with open_engine(store) as engine:
            await push(engine, "a")
            await pop(engine, group="g", batch=1, lease_ms=1)
            await asyncio.sleep(5)
            engine.pause_pops(True, 1)
            store.trouble.calls.clear()
            assert ids_of(await pop(engine, **query)) == []
            assert store.trouble.calls["pop"] == 0
            engine.pause_pops(False, 2)
            assert ids_of(await pop(engine, **query)) == ["a"]

    run()


@in_virtual_time
async def test_polls_that_wait_end_at_once_and_later_ones_with_their_time() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        polls = [asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS, **more)) for more in ({}, {"partition": "eu"})]
        await settle()
        start = now()
        engine.pause_pops(True, 1)
        assert [ids_of(await poll) for poll in polls] == [[], []]
        assert elapsed(start) == 0
        await push(engine, "a")
        assert ids_of(await pop(engine, wait_ms=5000)) == []
        assert 5 <= elapsed(start) < 6


@in_virtual_time
async def test_a_poll_that_came_during_the_pause_goes_on_when_it_ends() -> None:
    async with open_engine(MemoryStore()) as engine:
        engine.pause_pops(True, 1)
        polls = [asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS, batch=1, group=g)) for g in ("g", "h")]
        await settle()
        await push(engine, "a")
        await settle()
        assert not any(poll.done() for poll in polls)
        start = now()
        engine.pause_pops(False, 2)
        assert [ids_of(await poll) for poll in polls] == [["a"], ["a"]]
        assert elapsed(start) == 0


@in_virtual_time
async def test_a_pause_does_not_keep_a_server_from_stopping() -> None:
    async with open_engine(MemoryStore()) as engine:
        engine.pause_pops(True, 1)
        poll = asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS))
        await settle()
        engine.drain()
        assert ids_of(await poll) == []


@in_virtual_time
async def test_leases_go_on_during_a_pause() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        batch = await pop(engine)
        engine.pause_pops(True, 1)
        assert [result.error for result in await ack(engine, batch)] == [None]


@in_virtual_time
async def test_what_is_older_than_what_is_known_is_ignored() -> None:
    async with open_engine(MemoryStore()) as engine:
        for paused, version, expected in [(True, 3, True), (False, 2, True), (False, 3, True), (False, 4, False)]:
            engine.learn_pause(paused, version)
            assert engine.pops_paused is expected


@pytest.mark.parametrize("deaf", [False, True], ids=["by news", "by beats"])
def test_it_reaches_the_other_servers(deaf: bool) -> None:
    @in_virtual_time
    async def run() -> None:
        store = MemoryStore()
        async with open_cluster(store, deaf=deaf) as [one, two]:
            poll = asyncio.ensure_future(pop(two, wait_ms=HOUR_MS))
            await settle()
            start = now()
            store.pause = (True, 1)
            one.pause_pops(True, 1)
            assert ids_of(await poll) == []
            assert elapsed(start) < 2
            assert two.pops_paused

    run()
