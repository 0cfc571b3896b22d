"""An ack of many leases and partitions in one call: sent together, judged each for itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from queen import errors
from queen.engine.ack import ALREADY, INVALID_PARTITION, STALE_LEASE, UNRESOLVABLE, AckCall, AckGroup, AckResult
from queen.engine.engine import Engine
from queen.engine.pop import PopRequest
from queen.model import COMPLETED, FAILED, QUEUE_MODE, RETRY, AckItem
from queen.store.base import Acked
from tests.support.builders import ack, ids_of, items, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

C, R, F = COMPLETED, RETRY, FAILED


def told(results: list[AckResult]) -> list[str]:
    """One word per result."""
    return [result.error or ("noop" if result.noop else "done") for result in results]


async def fill(engine: Engine, count: int) -> None:
    """Two messages in each of so many partitions: a0 b0, a1 b1, …"""
    for number in range(count):
        await push(engine, f"a{number}", f"b{number}", partition=f"{number}")


def acked(store: MemoryStore) -> list[int]:
    """Where the cursors stand, by partition."""
    return [cursor.acked for _, cursor in sorted(store.cursors.items())]


@in_virtual_time
async def test_all_partitions_of_a_lease_go_in_one_call() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await fill(engine, 50)
        request = await pop(engine, batch=100, partitions=50)
        store.trouble.calls.clear()
        assert told(await ack(engine, request)) == ["done"] * 100
        assert store.trouble.calls == {"ack": 1}
        assert acked(store) == [1] * 50
        assert len(engine.leases) == 0


async def tasks_of_an_ack(engine: Engine, store: MemoryStore, request: PopRequest) -> int:
    """How many tasks there are while an ack of it is in flight."""
    gate = store.trouble.block("ack")
    acking = asyncio.ensure_future(ack(engine, request))
    await gate.reached()
    count = len(asyncio.all_tasks())
    gate.open()
    await acking
    return count


@in_virtual_time
async def test_no_partition_costs_a_task_of_its_own() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await fill(engine, 51)
        few = await tasks_of_an_ack(engine, store, await pop(engine, batch=2, partitions=1))
        many = await tasks_of_an_ack(engine, store, await pop(engine, batch=100, partitions=50))
        assert many == few


@in_virtual_time
async def test_results_stand_where_their_items_stood() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await fill(engine, 3)
        gone = await pop(engine, partition="2")
        request = await pop(engine, batch=4, partitions=2)
        engine.leases.settle(engine.leases._leases[gone.lease_id], gone.spans[0][0].id)  # This server forgot it.
        first, second, third, fourth = items(request)
        other, another = items(gone)
        strange = AckItem(b"x", first.partition_id, C, first.lease_id, None)
        nowhere = AckItem(b"x", None, C, None, None)
        foreign = AckItem(b"a0", first.partition_id, C, gone.lease_id, None)
        own = [third, nowhere, first, another, strange, foreign, second, other, fourth]
        assert told(await engine.ack(QUEUE_MODE, own)) == [
            "done", INVALID_PARTITION, "done", "done", UNRESOLVABLE, STALE_LEASE, "done", "done", "done",
        ]  # fmt: skip
        assert acked(store) == [1, 1, 1]
        assert engine.stats.counters.ack_rejected == 3


@in_virtual_time
async def test_equal_ids_of_a_whole_span_are_told_apart() -> None:
    store = MemoryStore()
    store.configure("orders", dedupWindowSeconds=0)
    async with open_engine(store) as engine:
        await push(engine, "a", "a", "b")
        request = await pop(engine)
        assert told(await ack(engine, request, {"a": C, "b": R})) == ["done"] * 3, "the whole span, in order"
        assert acked(store) == [1]
        assert ids_of(await pop(engine)) == ["b"]


@in_virtual_time
async def test_a_signal_behind_one_cursor_does_not_disturb_the_others() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await fill(engine, 2)
        request = await pop(engine, batch=4, partitions=2)
        await ack(engine, request, {"a0": C})
        assert told(await ack(engine, request, {"a0": F, "a1": C, "b1": C})) == [ALREADY, "done", "done"]
        assert acked(store) == [0, 1]


@in_virtual_time
async def test_a_lease_that_ended_in_the_database_is_refused_among_others() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await fill(engine, 2)
        late = await pop(engine, partition="0", lease_ms=10_000)
        fresh = await pop(engine, partition="1", lease_ms=100_000)
        store.advance(20)
        store.trouble.calls.clear()
        results = await engine.ack(QUEUE_MODE, [*items(late), *items(fresh)])
        assert told(results) == [STALE_LEASE, STALE_LEASE, "done", "done"]
        assert store.trouble.calls == {"ack": 1, "examine": 1}


@in_virtual_time
async def test_one_flush_of_several_that_fails_fails_the_call_and_stops_no_other() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await fill(engine, 2)
        request = await pop(engine, batch=4, partitions=2)
        store.trouble.fail("ack_failed", errors.StoreUnavailable("away"))
        with pytest.raises(errors.StoreUnavailable):
            await ack(engine, request, {"a0": C, "b0": C, "a1": F})
        assert acked(store) == [1, -1]
        assert told(await ack(engine, request, {"a1": C, "b1": C})) == ["done", "done"]


@in_virtual_time
async def test_what_was_settled_is_not_failed_by_its_neighbour() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await fill(engine, 3)
        one, two = await pop(engine, batch=4, partitions=2), await pop(engine, partition="2")
        store.trouble.fail("ack_failed", errors.StoreUnavailable("away"))
        done, failed = await asyncio.gather(ack(engine, one), ack(engine, two, {"a2": F}), return_exceptions=True)
        assert not isinstance(done, BaseException)
        assert told(done) == ["done"] * 4
        assert isinstance(failed, errors.StoreUnavailable)


@in_virtual_time
async def test_a_group_counts_once_and_the_first_word_on_it_stands() -> None:
    call = AckCall()
    one, two = AckGroup(1, "g", None), AckGroup(2, "g", None)
    call.add(one)
    call.add(two)
    one.settle(Acked(1, -1, 0, True))
    one.fail(errors.StoreUnavailable("away"))  # The flush broke off later.
    assert not call.done.done()
    two.settle(None)
    await call.done


@in_virtual_time
async def test_an_ack_in_two_flushes_waits_for_both() -> None:
    store = MemoryStore()
    async with open_engine(store, ack_flushes_max=1) as engine:
        await fill(engine, 3)
        other = await pop(engine, partition="0")
        own = await pop(engine, batch=4, partitions=2)
        gate = store.trouble.block("ack")
        first = asyncio.ensure_future(ack(engine, other, {"a0": C}))
        await gate.reached()
        # Behind the first, since it is of the same cursor; its other partitions need not wait for that.
        second = asyncio.ensure_future(engine.ack(QUEUE_MODE, [*items(own), *items(other, {"b0": C})]))
        await settle()
        assert not second.done()
        gate.open()
        assert told(await first) == ["done"]
        assert told(await second) == ["done"] * 5


@pytest.mark.parametrize("end", ["cancel", "abandon"])
def test_a_call_that_ends_early_leaves_nothing_waiting(end: str) -> None:
    @in_virtual_time
    async def whole() -> None:
        store = MemoryStore()
        async with open_engine(store) as engine:
            await fill(engine, 3)
            request = await pop(engine, batch=6, partitions=3)
            gate = store.trouble.block("ack")
            acking: asyncio.Task[Any] = asyncio.ensure_future(ack(engine, request))
            await gate.reached()
            if end == "cancel":
                acking.cancel()
                gate.open()
                with pytest.raises(asyncio.CancelledError):
                    await acking
                await settle()
                assert acked(store) == [1] * 3, "what was sent is done"
            else:
                engine._ack.batcher.abandon(errors.ShuttingDown("the end"))
                with pytest.raises(errors.ShuttingDown):
                    await acking
                assert acked(store) == [-1] * 3

    whole()


@in_virtual_time
async def test_a_lease_over_many_partitions_is_given_back_in_one_call() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await fill(engine, 20)
        request = await pop(engine, batch=40, partitions=20)
        store.trouble.calls.clear()
        await engine._ack.give_back(request)
        assert store.trouble.calls == {"ack": 1}
        assert len(ids_of(await pop(engine, batch=40, partitions=20))) == 40
