"""The batcher: flush at once when idle, gather while in flight, one flush a key, order of arrival."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Hashable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queen import errors
from queen.engine.batcher import Batcher
from tests.support.fake_clock import in_virtual_time, settle


class Item:
    """An entry that remembers what became of it."""

    def __init__(self, key: Hashable, number: int = 0, weight: int = 1, size: int = 0) -> None:
        self.key = key
        self.number = number
        self.weight = weight
        self.size = size
        self.failures: list[errors.QueenError] = []

    def fail(self, error: errors.QueenError) -> None:
        self.failures.append(error)

    def __repr__(self) -> str:
        return f"{self.key}{self.number}"


class Desk:
    """A batcher whose flushes stand still until `finish`, and what they carried."""

    def __init__(self, **bounds: Any) -> None:
        bounds = {"flushes_max": 1, "weight_max": 100, "bytes_max": 1000, "merge": True, **bounds}
        self.batcher: Batcher[Item] = Batcher("test", self._flush, **bounds)
        self.batches: list[list[Item]] = []
        self.ended: list[int] = []
        self._answers: list[asyncio.Future[Collection[Hashable]]] = []

    async def _flush(self, batch: list[Item]) -> Collection[Hashable]:
        self.batches.append(batch)
        self._answers.append(asyncio.get_running_loop().create_future())
        return await self._answers[-1]

    async def submit(self, *entries: Item) -> None:
        """Submit in one turn, and let what can start start."""
        for entry in entries:
            self.batcher.submit(entry)
        await settle()

    async def finish(self, place: int, kept: Collection[Hashable] = (), error: BaseException | None = None) -> None:
        """End one flush."""
        if error is not None:
            self._answers[place].set_exception(error)
        else:
            self._answers[place].set_result(kept)
        await settle()

    @property
    def carried(self) -> list[str]:
        """The batches as text."""
        return [" ".join(map(repr, batch)) for batch in self.batches]


@in_virtual_time
async def test_an_idle_batcher_flushes_at_once() -> None:
    desk = Desk()
    await desk.submit(Item("a"))
    assert desk.carried == ["a0"]


@in_virtual_time
async def test_entries_of_one_turn_leave_together() -> None:
    desk = Desk(flushes_max=2)
    await desk.submit(Item("a"), Item("b"), Item("a", 1))
    assert desk.carried == ["a0 a1 b0"]


@in_virtual_time
async def test_entries_gather_while_a_flush_is_in_flight() -> None:
    desk = Desk()
    await desk.submit(Item("a"))
    await desk.submit(Item("b"))
    await desk.submit(Item("c"), Item("b", 1))
    assert desk.carried == ["a0"]
    assert desk.batcher.waiting == 2
    await desk.finish(0)
    assert desk.carried == ["a0", "b0 b1 c0"]


@in_virtual_time
async def test_a_second_flush_leaves_while_one_is_free() -> None:
    desk = Desk(flushes_max=2)
    await desk.submit(Item("a"))
    await desk.submit(Item("b"))
    await desk.submit(Item("c"))
    assert desk.carried == ["a0", "b0"]
    await desk.finish(1)
    assert desk.carried == ["a0", "b0", "c0"]


@in_virtual_time
async def test_a_key_in_flight_waits_while_others_leave() -> None:
    desk = Desk(flushes_max=2)
    await desk.submit(Item("a"))
    await desk.submit(Item("a", 1), Item("b"))
    assert desk.carried == ["a0", "b0"]
    await desk.finish(1)
    assert desk.carried == ["a0", "b0"], "a is still in flight"
    await desk.finish(0)
    assert desk.carried == ["a0", "b0", "a1"]


@in_virtual_time
async def test_without_merge_the_second_entry_of_a_key_waits() -> None:
    desk = Desk(merge=False, flushes_max=4)
    await desk.submit(Item("a", 0), Item("a", 1), Item("a", 2), Item("b", 0))
    assert desk.carried == ["a0 b0"]
    await desk.finish(0)
    assert desk.carried == ["a0 b0", "a1"]
    await desk.finish(1)
    assert desk.carried[2] == "a2"


@in_virtual_time
async def test_weight_bounds_a_flush_and_the_rest_follows() -> None:
    desk = Desk(weight_max=10)
    await desk.submit(Item("a", 0, 6), Item("a", 1, 4), Item("a", 2, 1), Item("b", 0, 1))
    assert desk.carried == ["a0 a1"]
    await desk.finish(0)
    assert desk.carried[1] == "b0 a2", "keys leave in the order in which they became free"


@in_virtual_time
async def test_bytes_bound_a_flush() -> None:
    desk = Desk(bytes_max=10)
    await desk.submit(Item("a", 0, size=6), Item("b", 0, size=5), Item("c", 0, size=4))
    assert desk.carried == ["a0"]
    await desk.finish(0)
    assert desk.carried[1] == "b0 c0"


@pytest.mark.parametrize("big", [{"weight": 11}, {"size": 1001}], ids=["weight", "bytes"])
def test_an_entry_above_the_bound_leaves_alone(big: dict[str, int]) -> None:
    @in_virtual_time
    async def whole() -> None:
        desk = Desk(weight_max=10)
        await desk.submit(Item("a"), Item("b", 0, **big), Item("c"))
        await desk.finish(0)
        await desk.finish(1)
        assert desk.carried == ["a0", "b0", "c0"]

    whole()


@in_virtual_time
async def test_an_entry_of_one_key_never_overtakes_a_large_one_before_it() -> None:
    desk = Desk(weight_max=10)
    await desk.submit(Item("a", 0, 5), Item("a", 1, 9), Item("a", 2, 1))
    await desk.finish(0)
    assert desk.carried == ["a0", "a1 a2"]


@in_virtual_time
async def test_a_kept_key_stays_busy_until_it_is_released() -> None:
    desk = Desk(flushes_max=4)
    await desk.submit(Item("a"), Item("b"))
    await desk.finish(0, kept={"a"})
    await desk.submit(Item("a", 1), Item("b", 1))
    assert desk.carried == ["a0 b0", "b1"]
    await desk.finish(1)
    desk.batcher.release("a")
    await settle()
    assert desk.carried[2] == "a1"


@in_virtual_time
async def test_a_released_key_without_entries_is_idle() -> None:
    desk = Desk()
    await desk.submit(Item("a"))
    await desk.finish(0, kept={"a"})
    desk.batcher.release("a")
    await desk.batcher.drain()
    await desk.submit(Item("a", 1))
    assert desk.carried == ["a0", "a1"]


@in_virtual_time
async def test_a_failed_flush_fails_its_entries_and_no_others() -> None:
    desk = Desk()
    first, second = Item("a"), Item("a", 1)
    await desk.submit(first)
    await desk.submit(second)
    away = errors.StoreUnavailable("away")
    await desk.finish(0, error=away)
    assert first.failures == [away]
    assert desk.carried == ["a0", "a1"]
    await desk.finish(1)
    assert second.failures == []


@in_virtual_time
async def test_a_bug_in_a_flush_fails_its_entries_without_its_text() -> None:
    desk = Desk()
    entry = Item("a")
    await desk.submit(entry)
    await desk.finish(0, error=ZeroDivisionError("secret"))
    (failure,) = entry.failures
    assert "secret" not in failure.message
    await desk.submit(Item("a", 1))
    assert desk.carried == ["a0", "a1"], "the batcher goes on"


@in_virtual_time
async def test_drain_waits_for_lines_flights_and_kept_keys() -> None:
    desk = Desk()
    await desk.batcher.drain()
    await desk.submit(Item("a"), Item("b"))
    await desk.submit(Item("a", 1))
    drained = asyncio.ensure_future(desk.batcher.drain())
    await desk.finish(0, kept={"b"})
    await desk.finish(1)
    assert not drained.done()
    desk.batcher.release("b")
    await drained


@in_virtual_time
async def test_abandon_fails_what_waits_and_what_is_in_flight() -> None:
    desk = Desk()
    flying, waiting, again = Item("a"), Item("b"), Item("a", 1)
    await desk.submit(flying)
    await desk.submit(waiting, again)
    stopping = errors.ShuttingDown("stopping")
    desk.batcher.abandon(stopping)
    await settle()
    assert [entry.failures for entry in (waiting, again)] == [[stopping], [stopping]]
    assert [type(error) for error in flying.failures] == [errors.ShuttingDown]
    await desk.batcher.drain()


@in_virtual_time
async def test_abandon_also_fails_a_flush_that_has_not_begun() -> None:
    desk = Desk()
    entry = Item("a")
    desk.batcher.submit(entry)
    await asyncio.sleep(0)  # The flush has its task now, and the task has not run.
    assert desk.batches == []
    desk.batcher.abandon(errors.ShuttingDown("stopping"))
    await settle()
    assert [type(error) for error in entry.failures] == [errors.ShuttingDown]
    await desk.batcher.drain()


@in_virtual_time
async def test_counts_flushes_and_their_weight() -> None:
    desk = Desk()
    await desk.submit(Item("a", 0, 3), Item("b", 0, 4))
    await desk.finish(0)
    assert (desk.batcher.flushes, desk.batcher.weights.sum) == (1, 7)


class Run:
    """Random submits with flushes of random length; it checks each flush as it begins."""

    def __init__(self, seed: int, *, flushes_max: int, weight_max: int, merge: bool) -> None:
        self.random = random.Random(seed)
        self.weight_max, self.merge, self.flushes_max = weight_max, merge, flushes_max
        self.busy: set[Hashable] = set()
        self.in_flight = 0
        self.broken: list[AssertionError] = []
        self.arrived: dict[Hashable, list[int]] = {}
        self.flushed: dict[Hashable, list[int]] = {}
        self.batcher: Batcher[Item] = Batcher(
            "run", self.flush, flushes_max=flushes_max, weight_max=weight_max, bytes_max=1 << 30, merge=merge
        )

    async def flush(self, batch: list[Item]) -> Collection[Hashable]:
        keys = {entry.key for entry in batch}
        try:
            self.check(batch, keys)
        except AssertionError as error:
            self.broken.append(error)  # The batcher would log it, and go on.
        return await self.carry(batch, keys)

    def check(self, batch: list[Item], keys: set[Hashable]) -> None:
        assert keys.isdisjoint(self.busy), "a key is in one flush at a time"
        assert self.in_flight < self.flushes_max
        assert len(batch) == 1 or sum(entry.weight for entry in batch) <= self.weight_max
        assert self.merge or len(keys) == len(batch)

    async def carry(self, batch: list[Item], keys: set[Hashable]) -> Collection[Hashable]:
        self.busy |= keys
        self.in_flight += 1
        for entry in batch:
            self.flushed.setdefault(entry.key, []).append(entry.number)
        await asyncio.sleep(self.random.choice((0, 0, 0.001, 0.01)))
        self.in_flight -= 1
        kept = {key for key in keys if self.random.random() < 0.1}
        self.busy -= keys - kept
        for key in kept:
            asyncio.get_running_loop().call_later(0.002, self.let_go, key)
        if self.random.random() < 0.1 and not kept:
            raise errors.StoreUnavailable("away")
        return kept

    def let_go(self, key: Hashable) -> None:
        self.busy.discard(key)
        self.batcher.release(key)

    async def submit_all(self, count: int, keys: int) -> None:
        for number in range(count):
            key = self.random.randrange(keys)
            self.arrived.setdefault(key, []).append(number)
            self.batcher.submit(Item(key, number, weight=self.random.randint(1, self.weight_max + 2)))
            if self.random.random() < 0.4:
                await asyncio.sleep(self.random.choice((0, 0.001, 0.005)))
        await self.batcher.drain()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1 << 30), st.integers(1, 4), st.integers(1, 8), st.booleans(), st.integers(1, 5), st.integers(1, 60)
)
def test_order_per_key_holds_whatever_the_timing(
    seed: int, flushes_max: int, weight_max: int, merge: bool, keys: int, count: int
) -> None:
    @in_virtual_time
    async def whole() -> None:
        run = Run(seed, flushes_max=flushes_max, weight_max=weight_max, merge=merge)
        await run.submit_all(count, keys)
        assert run.broken == []
        assert run.flushed == run.arrived

    whole()
