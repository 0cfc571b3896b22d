"""High-performance mode and safe defaults: when, why, and how large an operation may be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from queen.engine.mode import decided, mode_of, operation_bytes_max, operation_messages_max
from queen.settings import Settings
from tests.support.builders import message, open_engine
from tests.support.fake_clock import in_virtual_time
from tests.support.memory_store import MemoryStore


def settings(pool_size: int, **engine: Any) -> Settings:
    whole = Settings()
    return replace(whole, database=replace(whole.database, pool_size=pool_size), engine=replace(whole.engine, **engine))


@pytest.mark.spec("R2")
@pytest.mark.parametrize(
    ("pool_size", "wanted", "high_perf", "reason"),
    [
        (49, None, False, "pool size 49 is below 50"),
        (50, None, True, "pool size 50 is at least 50"),
        (200, False, False, "set by engine.high_perf"),
        (1, True, True, "set by engine.high_perf"),
    ],
)
def test_the_mode_and_its_reason(pool_size: int, wanted: bool | None, high_perf: bool, reason: str) -> None:
    mode = mode_of(settings(pool_size, high_perf=wanted))
    assert (mode.high_perf, mode.reason) == (high_perf, reason)
    assert mode.name == ("high-performance" if high_perf else "safe")


@pytest.mark.spec("R2")
def test_the_size_of_an_operation_follows_the_mode_unless_it_is_set() -> None:
    def bounds(one: Settings) -> tuple[int, int]:
        return operation_messages_max(one.engine), operation_bytes_max(one.engine)

    assert bounds(decided(settings(50))) == (1000, 8 << 20)
    assert bounds(decided(settings(49))) == (500, 2 << 20)
    assert bounds(decided(settings(50, push_messages_max=7, push_bytes_max=2048))) == (7, 2048)
    assert bounds(decided(settings(16, push_messages_max=900))) == (900, 2 << 20)


def test_a_decided_mode_does_not_follow_the_pool_any_more() -> None:
    whole = decided(settings(50))
    part = replace(whole, database=replace(whole.database, pool_size=12))
    assert mode_of(part).high_perf


@pytest.mark.spec("R2", "R6")
@pytest.mark.parametrize(("high_perf", "flushes"), [(True, 2), (False, 3)])
@in_virtual_time
async def test_pushes_are_gathered_up_to_the_size_of_the_mode(high_perf: bool, flushes: int) -> None:
    async with open_engine(MemoryStore(), high_perf=high_perf) as engine:
        await engine.push([message(f"first-{n}", str(n)) for n in range(100)])
        before = engine.buckets()["push_flush_entries"].count
        await asyncio.gather(*[engine.push([message(f"t{n}", str(n % 100))]) for n in range(1500)])
        assert engine.buckets()["push_flush_entries"].count - before == flushes
        assert engine.buckets()["push_flush_entries"].sum == 1600
