"""Traces go by age: the leader alone asks, in bounded steps, until nothing is too old."""

from __future__ import annotations

from queen.engine.maintenance.traces import ForgetTraces
from tests.support.fake_clock import in_virtual_time
from tests.support.memory_store import MemoryStore


class Traces(MemoryStore):
    """Notes what it is asked to forget; so many traces are too old."""

    def __init__(self, old: int) -> None:
        super().__init__()
        self.old = old
        self.asked: list[tuple[int, int]] = []

    async def forget_traces(self, older_than_ms: int, limit: int) -> int:
        self.asked.append((older_than_ms, limit))
        gone = min(self.old, limit)
        self.old -= gone
        return gone


@in_virtual_time
async def test_the_leader_goes_on_until_nothing_is_too_old() -> None:
    store = Traces(2_500)
    await ForgetTraces(store, 60_000, leading=lambda: True).tick()
    assert store.old == 0
    assert store.asked == [(60_000, 1_000)] * 3


@in_virtual_time
async def test_others_ask_nothing() -> None:
    store = Traces(5)
    await ForgetTraces(store, 60_000, leading=lambda: False).tick()
    assert store.asked == []


def test_it_asks_within_the_age_but_not_all_the_time() -> None:
    ages_ms = (1_000, 100_000, 604_800_000)
    assert [ForgetTraces(MemoryStore(), age, lambda: True).interval_s for age in ages_ms] == [1.0, 10.0, 60.0]
