"""Push: what is stored together, what fails alone, and what is pending meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.push import PushRequest
from queen.model import NewMessage
from queen.store.base import PushBatch, Stored
from tests.support.builders import message, open_engine, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

BAD = b'"\x00"'


def outcomes(request: PushRequest) -> list[object]:
    """Per chunk: the offset of its first message, what became of each one, or the code of its error."""
    return [chunk.error.code if chunk.error else chunk.stored or chunk.base for chunk in request.chunks]


def stored(store: MemoryStore, queue: str = "orders", partition: str = "eu") -> list[str]:
    """Transaction ids in a partition, in order."""
    return [one.transaction_id.decode() for one in store.messages(queue, partition)]


@in_virtual_time
async def test_a_push_is_one_call_however_many_partitions() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        for round_ in range(2):
            request = await engine.push([message(f"{round_}-{n}", partition=str(n % 7)) for n in range(50)])
            assert outcomes(request) == [round_ * len(chunk.messages) for chunk in request.chunks]
        assert store.trouble.calls == {"resolve": 1, "push": 2}, "a warm push looks nothing up"


@in_virtual_time
async def test_nothing_to_push_is_no_call() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        assert (await engine.push([])).chunks == []
        assert not store.trouble.calls


@in_virtual_time
async def test_messages_keep_their_order_across_interleaved_partitions_and_queues() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        places = [("a", "1"), ("b", "1"), ("a", "2"), ("a", "1"), ("b", "1"), ("a", "1")]
        request = await engine.push([message(str(n), part, queue) for n, (queue, part) in enumerate(places)])
        assert [chunk.positions for chunk in request.chunks] == [[0, 3, 5], [1, 4], [2]]
        assert stored(store, "a", "1") == ["0", "3", "5"]
        assert stored(store, "b", "1") == ["1", "4"]
        assert stored(store, "a", "2") == ["2"]


@in_virtual_time
async def test_requests_of_one_partition_are_stored_in_the_order_they_came() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "first")
        gate = store.trouble.block("push")
        tasks = [asyncio.ensure_future(push(engine, f"{n}")) for n in range(20)]
        await gate.reached()
        gate.open()
        await asyncio.gather(*tasks)
        assert stored(store) == ["first", *map(str, range(20))]


@in_virtual_time
async def test_requests_gather_behind_the_one_in_flight() -> None:
    store = MemoryStore()
    async with open_engine(store, push_flushes_max=1) as engine:
        await push(engine, "warm")
        gate = store.trouble.block("push")
        first = asyncio.ensure_future(push(engine, "a"))
        await gate.reached()
        others = [asyncio.ensure_future(push(engine, str(n), partition="eu")) for n in range(10)]
        await settle()
        gate.open()
        await asyncio.gather(first, *others)
        assert store.trouble.calls["push"] == 3


@in_virtual_time
async def test_duplicates_are_sorted_out_one_by_one() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b")
        request = await push(engine, "c", "a", "c", "d")
        assert outcomes(request) == [[Stored(2, False), Stored(0, True), Stored(2, True), Stored(3, False)]]
        assert stored(store) == ["a", "b", "c", "d"]
        counters = engine.stats.counters
        assert (counters.push_messages, counters.push_duplicates, counters.push_requests) == (4, 2, 2)


@in_virtual_time
async def test_a_duplicate_of_one_request_spoils_no_other() -> None:
    store = MemoryStore()
    async with open_engine(store, push_flushes_max=1) as engine:
        await push(engine, "a")
        await push(engine, "x", partition="us")
        gate = store.trouble.block("push")
        tasks = [asyncio.ensure_future(push(engine, "b", partition="us"))]
        await gate.reached()
        tasks.append(asyncio.ensure_future(push(engine, "a")))
        tasks.append(asyncio.ensure_future(push(engine, "c", partition="us")))
        await settle()
        gate.open()
        await asyncio.gather(*tasks)
        assert outcomes(tasks[1].result()) == [[Stored(0, True)]]
        assert stored(store, partition="us") == ["x", "b", "c"]


@in_virtual_time
async def test_a_blocked_partition_delays_no_other() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        blocked = (await push(engine, "a", partition="slow")).chunks[0].partition.id
        store.locked.add(blocked)
        waiting = asyncio.ensure_future(push(engine, "b", partition="slow"))
        behind = asyncio.ensure_future(push(engine, "c", partition="slow"))
        mixed = asyncio.ensure_future(engine.push([message("d", "slow"), message("e", "fast")]))
        await settle()
        for n in range(5):
            assert outcomes(await push(engine, f"f{n}", partition="fast"))
        assert stored(store, partition="fast") == ["e", "f0", "f1", "f2", "f3", "f4"]
        assert not any(task.done() for task in (waiting, behind, mixed))
        await store.unlock(blocked)
        await asyncio.gather(waiting, behind, mixed)
        assert stored(store, partition="slow") == ["a", "b", "c", "d"]


@in_virtual_time
async def test_many_blocked_partitions_delay_no_duplicate_elsewhere() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        waiting = []
        for n in range(8):
            number = (await push(engine, "a", partition=f"slow{n}")).chunks[0].partition.id
            store.locked.add(number)
            waiting.append(asyncio.ensure_future(push(engine, "b", partition=f"slow{n}")))
        await push(engine, "x", partition="fast")
        await settle()
        assert outcomes(await push(engine, "x", "y", partition="fast")) == [[Stored(0, True), Stored(1, False)]]
        assert not any(task.done() for task in waiting)
        for number in list(store.locked):
            await store.unlock(number)
        await asyncio.gather(*waiting)


@in_virtual_time
async def test_a_duplicate_beside_a_blocked_partition_waits_for_no_lock() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "x", partition="fast")
        blocked = (await push(engine, "a", partition="slow")).chunks[0].partition.id
        store.locked.add(blocked)
        slow = asyncio.ensure_future(push(engine, "b", partition="slow"))
        fast = asyncio.ensure_future(push(engine, "x", "y", partition="fast"))
        behind = asyncio.ensure_future(push(engine, "c", partition="slow"))
        assert outcomes(await fast) == [[Stored(0, True), Stored(1, False)]]
        assert not slow.done()
        await store.unlock(blocked)
        await asyncio.gather(slow, behind)
        assert stored(store, partition="slow") == ["a", "b", "c"]


@in_virtual_time
async def test_a_failure_in_the_wait_for_a_lock_reaches_the_request() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        number = (await push(engine, "a")).chunks[0].partition.id
        for failure, code in ((errors.StoreUnavailable("away"), "store_unavailable"), (KeyError("bug"), "queen_error")):
            store.locked.add(number)
            store.trouble.fail("push_deduplicating", failure)
            assert outcomes(await push(engine, "b")) == [code]
            await store.unlock(number)
        assert outcomes(await push(engine, "b")) == [1], "the partition is free again"


@in_virtual_time
async def test_a_message_that_cannot_be_stored_fails_its_own_chunk_only() -> None:
    store = MemoryStore()
    async with open_engine(store, push_flushes_max=1) as engine:
        await push(engine, "warm")
        await push(engine, "warm", partition="us")
        gate = store.trouble.block("push")
        first = asyncio.ensure_future(push(engine, "a"))
        await gate.reached()
        good = asyncio.ensure_future(push(engine, "b"))
        bad = asyncio.ensure_future(engine.push([message("c", payload=BAD), message("d"), message("e", "us")]))
        after = asyncio.ensure_future(push(engine, "f"))
        await settle()
        gate.open()
        await asyncio.gather(first, good, bad, after)
        assert outcomes(bad.result()) == ["bad_request", [Stored(1, False)]]
        assert stored(store) == ["warm", "a", "b", "f"], "stored together or not at all, and in order"
        assert engine.stats.counters.push_failed == 2


@in_virtual_time
async def test_more_than_one_operation_s_worth_is_stored_together() -> None:
    store = MemoryStore()
    async with open_engine(store, push_messages_max=10) as engine:
        request = await push(engine, *map(str, range(25)))
        assert outcomes(request) == [[Stored(n, False) for n in range(25)]]
        assert store.trouble.calls["push_together"] == 1
        assert store.trouble.calls["push"] == 0
        again = await push(engine, *map(str, range(20, 40)))
        assert outcomes(again) == [[Stored(n, n < 25) for n in range(20, 40)]]


@in_virtual_time
async def test_a_call_carries_no_more_messages_than_allowed() -> None:
    store = MemoryStore()
    sizes: list[int] = []
    plain = store.push

    async def counting(batch: PushBatch) -> tuple[int, ...]:
        sizes.append(len(batch.places))
        return await plain(batch)

    store.push = counting  # type: ignore[method-assign]
    async with open_engine(store, push_messages_max=10) as engine:
        await asyncio.gather(*[push(engine, *[f"{n}-{m}" for m in range(4)], partition=str(n)) for n in range(9)])
        assert max(sizes) <= 10
        assert sum(sizes) == 36


@pytest.mark.parametrize("count", [1, 15], ids=["plain", "large"])
def test_a_partition_that_vanished_is_created_again(count: int) -> None:
    @in_virtual_time
    async def whole() -> None:
        store = MemoryStore()
        async with open_engine(store, push_messages_max=10) as engine:
            await push(engine, "a")
            old = engine.catalog.partition("orders", "eu")
            store.delete_queue("orders")
            request = await push(engine, *map(str, range(count)))
            assert request.chunks[0].error is None
            assert request.chunks[0].partition is not old
            assert request.chunks[0].partition is engine.catalog.partition("orders", "eu")
            assert stored(store) == list(map(str, range(count)))
            assert outcomes(await push(engine, "b")) == [count]

    whole()


@in_virtual_time
async def test_several_requests_to_a_vanished_queue_keep_their_order() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        await push(engine, "a", partition="us")
        store.delete_queue("orders")
        await asyncio.gather(push(engine, "b"), push(engine, "c"), push(engine, "d", partition="us"), push(engine, "e"))
        assert stored(store) == ["b", "c", "e"]
        assert stored(store, partition="us") == ["d"]


@in_virtual_time
async def test_a_partition_that_always_vanishes_is_given_up() -> None:
    store = MemoryStore()

    async def gone(batch: PushBatch) -> tuple[int, ...]:
        store.delete_queue("orders")
        return tuple(-1 for _ in batch.partition_ids)

    store.push = gone  # type: ignore[method-assign]
    async with open_engine(store) as engine:
        assert outcomes(await push(engine, "a")) == ["not_found"]
        assert engine.limits.pending_bytes == 0


@in_virtual_time
async def test_contention_is_tried_again_a_few_times() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        store.trouble.fail("push", errors.Contention("deadlock"))
        store.trouble.fail("push_deduplicating", *[errors.Contention("deadlock")] * 3)
        assert outcomes(await push(engine, "a")) == [[Stored(0, False)]]
        store.trouble.fail("push", errors.Contention("deadlock"))
        store.trouble.fail("push_deduplicating", *[errors.Contention("deadlock")] * 4)
        assert outcomes(await push(engine, "b")) == ["contention"]
        assert stored(store) == ["a"]


@in_virtual_time
async def test_a_store_that_is_away_fails_the_chunks_and_nothing_else() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "warm")
        store.trouble.fail("push", errors.StoreUnavailable("away"))
        assert outcomes(await push(engine, "a")) == ["store_unavailable"]
        assert outcomes(await push(engine, "a")) == [1]
        assert engine.limits.pending_bytes == 0


@in_virtual_time
async def test_a_failed_look_up_refuses_the_request() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        store.trouble.fail("resolve", errors.StoreUnavailable("away"))
        with pytest.raises(errors.StoreUnavailable):
            await push(engine, "a")
        assert outcomes(await push(engine, "a")) == [0]


@in_virtual_time
async def test_too_many_pending_bytes_are_refused_and_come_free() -> None:
    store = MemoryStore()
    async with open_engine(store, pending_bytes_max=1000) as engine:
        await push(engine, "warm")
        gate = store.trouble.block("push")
        first = asyncio.ensure_future(engine.push([message("a", payload=b"1" * 2000)]))
        await gate.reached()
        assert engine.limits.pending_bytes == 2001
        with pytest.raises(errors.Overloaded) as refusal:
            await push(engine, "b")
        assert refusal.value.hint
        gate.open()
        assert outcomes(await first) == [1], "one request is admitted whatever its size"
        assert engine.limits.pending_bytes == 0
        assert outcomes(await push(engine, "b")) == [2]
        assert engine.limits.refused == 1


@in_virtual_time
async def test_a_payload_above_the_bound_refuses_the_request_and_stores_nothing() -> None:
    store = MemoryStore()
    async with open_engine(store, payload_bytes_max=10) as engine:
        with pytest.raises(errors.PayloadTooLarge):
            await engine.push([message("a"), message("b", payload=b"1" * 11)])
        assert stored(store) == []
        assert engine.limits.pending_bytes == 0
        assert outcomes(await engine.push([message("a", payload=b"1" * 10)])) == [0]


@in_virtual_time
async def test_a_caller_that_leaves_keeps_the_accounts_right() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "warm")
        await push(engine, "warm", partition="us")
        gate = store.trouble.block("push")
        leaving = asyncio.ensure_future(engine.push([message("a"), message("b", "us")]))
        staying = asyncio.ensure_future(push(engine, "c", partition="us"))
        await gate.reached()
        leaving.cancel()
        await asyncio.wait({leaving})
        assert engine.limits.pending_bytes > 0, "the call is on its way"
        gate.open()
        await settle()
        assert engine.limits.pending_bytes == 0
        assert outcomes(await staying) == [2], "who shares its flush does not notice"
        assert stored(store) == ["warm", "a"]


@in_virtual_time
async def test_a_stop_in_the_middle_of_apart_flushes_settles_each_chunk_once() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "warm")
        await push(engine, "warm", partition="us")
        store.trouble.fail("push", errors.InvalidRequest("one of them is bad"))
        pushing = asyncio.ensure_future(engine.push([message("a"), message("b", "us")]))
        gate = store.trouble.block("push_deduplicating", skip=1)
        await gate.reached()
        await engine.stop(0.1)
        request = await pushing
        assert outcomes(request) == [[Stored(1, False)], "shutting_down"], "what is stored is said to be stored"
        assert (request.left, engine.limits.pending_bytes) == (0, 0)


@in_virtual_time
async def test_trace_ids_and_producers_travel_when_one_message_has_them() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await engine.push(
            [NewMessage("orders", "eu", b"a", b"1"), NewMessage("orders", "eu", b"b", b"1", b"t" * 16, b"me")]
        )
        kept = store.messages("orders", "eu")
        assert [(one.trace_id, one.producer_sub) for one in kept] == [(None, None), (b"t" * 16, b"me")]


@in_virtual_time
async def test_a_draining_engine_takes_no_push() -> None:
    async with open_engine(MemoryStore()) as engine:
        engine.drain()
        with pytest.raises(errors.ShuttingDown):
            await push(engine, "a")
