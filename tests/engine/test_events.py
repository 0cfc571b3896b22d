"""Rings of what went wrong: bounded, with times, and a storm of one kind is one event."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from queen import errors
from queen.engine.batcher import Batcher
from queen.engine.events import Ring
from tests.support.builders import open_engine, push
from tests.support.fake_clock import in_real_time
from tests.support.memory_store import MemoryStore


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_equal_events_within_a_second_are_one() -> None:
    clock = _Clock()
    ring = Ring(clock=clock)
    for ms in (5, 9, 3):
        ring.note("push", "slow", ms=ms, entries=ms)
        clock.now += 0.5
    assert [(one.at, one.count, one.ms, one.entries) for one in ring.events()] == [(0.0, 3, 9, 9)]
    clock.now += 1
    ring.note("push", "slow")
    assert [one.count for one in ring.events()] == [3, 1]
    assert ring.totals == {"slow": 4}


def test_a_ring_keeps_the_latest_and_all_totals() -> None:
    clock = _Clock()
    ring = Ring(3, clock)
    for number in range(10):
        clock.now += 2
        ring.note("pop", f"kind{number % 2}", f"text{number}")
    assert [one.text for one in ring.events()] == ["text7", "text8", "text9"]
    assert ring.totals == {"kind0": 5, "kind1": 5}


def test_long_texts_are_cut() -> None:
    ring = Ring()
    ring.note("push", "bad_request", "x" * 10_000)
    assert len(ring.events()[0].text) == 200


@in_real_time
async def test_a_flush_that_takes_long_is_noted_with_what_it_carried() -> None:
    async with open_engine(MemoryStore(), slow_flush_ms=1) as engine:
        await engine.catalog.ensure_partition("orders", "eu")
        await _with_slow_pushes(engine.store)
        await push(engine, "a", "b", "c")
        found = [(one.verb, one.kind, one.entries) for one in engine.slow_flushes.events()]
        assert found == [("push", "slow", 3)]
        assert engine.slow_flushes.events()[0].ms >= 5


async def _with_slow_pushes(store: object) -> None:
    whole = store.push  # type: ignore[attr-defined]

    async def slow(batch: object) -> object:
        await asyncio.sleep(0.02)
        return await whole(batch)

    store.push = slow  # type: ignore[attr-defined]


@in_real_time
async def test_a_flush_that_fails_late_is_noted_with_its_error() -> None:
    class _Entry:
        key: Hashable = 1
        weight, size = 7, 0

        def fail(self, error: errors.QueenError) -> None:
            pass

    async def fail(_: list[_Entry]) -> tuple[()]:
        await asyncio.sleep(0.02)
        raise errors.StoreUnavailable("away")

    ring = Ring()
    batcher: Batcher[_Entry] = Batcher("ack", fail, flushes_max=1, weight_max=10, bytes_max=10, merge=True)
    batcher.watch(1000, ring)
    batcher.submit(_Entry())
    await batcher.drain()
    assert [(one.verb, one.kind, one.entries) for one in ring.events()] == [("ack", "store_unavailable", 7)]


def test_events_are_counted_by_the_minute_too() -> None:
    clock = _Clock()
    clock.now = 120.0
    ring = Ring(2, clock)
    for _ in range(5):
        ring.note("push", "overloaded")
        clock.now += 30
    assert ring.by_minute() == {120: {"overloaded": 2}, 180: {"overloaded": 2}, 240: {"overloaded": 1}}
