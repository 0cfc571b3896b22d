"""Heartbeats: who runs, who leads, and how little an idle server asks of the database."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.engine import Engine
from queen.engine.maintenance.presence import BEAT_S
from queen.settings import EngineSettings
from tests.engine.cluster import open_cluster
from tests.support.builders import open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

LEASE_S = 5.0
HOUR_MS = 3_600_000


def leaders(*engines: Engine) -> int:
    """How many believe that they lead."""
    return sum(engine.presence.leading for engine in engines)


@in_virtual_time
async def test_one_of_all_leads_and_each_knows_how_many_there_are() -> None:
    async with open_cluster(MemoryStore(), 3) as engines:
        assert leaders(*engines) == 1
        assert [engine.presence.peers for engine in engines] == [2, 2, 2]
        assert all(engine.outbox.open for engine in engines)


@in_virtual_time
async def test_a_server_that_stops_leaves_and_another_leads_at_its_next_beat() -> None:
    store = MemoryStore()
    async with open_cluster(store) as engines:
        first, second = sorted(engines, key=lambda engine: not engine.presence.leading)
        await first.stop(1)
        assert not first.presence.leading
        await asyncio.sleep(2 * BEAT_S)
        assert (second.presence.leading, second.presence.peers, second.outbox.open) == (True, 0, False)
        assert list(store.instances) == [second.instance_id]


@in_virtual_time
async def test_a_server_that_hangs_leads_no_more_before_another_does() -> None:
    store = MemoryStore()
    async with open_cluster(store) as engines:
        first, second = sorted(engines, key=lambda engine: not engine.presence.leading)
        await first.presence._loop.stop()
        for _ in range(200):
            await asyncio.sleep(0.05)
            assert leaders(first, second) <= 1
        assert second.presence.leading
        assert second.presence.peers == 0


@in_virtual_time
async def test_a_lease_counts_from_before_the_call_that_took_it() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        gate = store.trouble.block("beat", after=True)
        beat = asyncio.ensure_future(engine.presence.tick())
        await gate.reached()
        await asyncio.sleep(LEASE_S - 1)
        gate.open()
        await beat
        assert engine.presence.leading
        await asyncio.sleep(1)
        assert not engine.presence.leading, "the database has ended the lease by now"


@in_virtual_time
async def test_the_lead_is_lost_without_the_database_and_retaken_with_it() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True) as engine:
        await asyncio.sleep(1)
        assert engine.presence.leading
        store.trouble.fail("beat", *[errors.StoreUnavailable("away")] * 20)
        await asyncio.sleep(LEASE_S + 1.2)
        assert not engine.presence.leading
        await asyncio.sleep(20)
        assert engine.presence.leading


@in_virtual_time
async def test_a_new_server_is_known_before_the_next_beat() -> None:
    store = MemoryStore()
    async with open_cluster(store, 1) as [one]:
        assert not one.outbox.open
        await asyncio.sleep(BEAT_S - one.presence._clock.time() % BEAT_S)
        async with open_engine(store, loops=True) as two:
            await settle()
            await asyncio.sleep(0.001)
            assert two.presence.peers == 1
            assert (one.presence.peers, one.outbox.open) == (1, True)


@in_virtual_time
async def test_ten_thousand_parked_polls_cost_less_than_two_calls_a_second() -> None:
    store = MemoryStore()
    settings = EngineSettings()
    async with open_cluster(store, sweep_ms=settings.sweep_ms) as [one, _]:
        polls = [
            asyncio.ensure_future(pop(one, f"q{n % 1000}", group="g", wait_ms=HOUR_MS, batch=1)) for n in range(10_000)
        ]
        await asyncio.sleep(10)
        assert one.limits.parked_polls == 10_000
        store.trouble.calls.clear()
        await asyncio.sleep(300)
        # Of both servers together: a beat a second each, a page now and then, and the leader's trimming.
        assert store.trouble.calls.total() / 300 < 2 * 1.4
        assert store.trouble.calls["ready_partitions"] == pytest.approx(300 / (settings.sweep_ms / 1000), rel=0.2)
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)


@in_virtual_time
async def test_every_set_in_use_has_its_turn_in_the_backstop() -> None:
    store = MemoryStore()
    async with open_engine(store) as other, open_engine(store, loops=True, sweep_ms=1000) as engine:
        polls = [asyncio.ensure_future(pop(engine, f"q{n}", wait_ms=HOUR_MS)) for n in range(5)]
        await asyncio.sleep(1)
        for n in range(5):
            await push(other, "a", queue=f"q{n}")  # It does not run, so it tells nobody.
        await asyncio.wait_for(asyncio.gather(*polls), 12)
