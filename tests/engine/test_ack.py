"""Ack: how items become one row per cursor, and what is said of each item."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from queen import errors
from queen.engine.ack import (
    ALREADY,
    INVALID_PARTITION,
    NO_CONSUMER,
    STALE_LEASE,
    UNRESOLVABLE,
    AckResult,
    reduce,
)
from queen.engine.engine import Engine
from queen.model import COMPLETED, DEAD, FAILED, QUEUE_MODE, RETRY, AckItem
from queen.store.base import AckRow
from tests.support.builders import ack, ids_of, items, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

C, R, F, D = COMPLETED, RETRY, FAILED, DEAD
Signals = list[tuple[str, int | None]]


def reduced(signals: Signals, behind: int = -1) -> tuple[int | None, int | None, int | None, int | None] | None:
    """(completed, retried, failed, dead) of these items; None: nothing left to say."""
    row = AckRow(1, b"g", None)
    own = [AckItem(b"t", 1, kind, None, None) for kind, _ in signals]
    if not reduce(row, own, [offset for _, offset in signals], behind):
        return None
    return row.completed, row.retried, row.failed, row.dead


@pytest.mark.parametrize(
    ("signals", "behind", "row"),
    [
        ([], -1, None),
        ([(C, 3)], -1, (3, None, None, None)),
        ([(C, 3), (C, 9), (C, 5)], -1, (9, None, None, None)),
        ([(F, 4), (F, 2), (F, 7)], -1, (None, None, 2, None)),
        ([(R, 4), (R, 2)], -1, (None, 2, None, None)),
        ([(D, 4), (D, 2)], -1, (None, None, None, 2)),
        ([(C, 1), (R, 2), (F, 3), (D, 4), (C, 5)], -1, (5, 2, 3, 4)),
        ([(C, None), (F, None)], -1, None),
        ([(C, 3), (F, None)], -1, (3, None, None, None)),
        ([(F, 2), (F, 6)], 4, (None, None, 6, None)),
        ([(F, 4), (R, 3), (D, 0)], 4, None),
        ([(C, 2), (F, 4)], 4, (2, None, None, None)),
        ([(C, 0)], -1, (0, None, None, None)),
        ([(F, 0), (F, 0)], -1, (None, None, 0, None)),
    ],
)
def test_items_reduce_to_their_extremes(signals: Signals, behind: int, row: Any) -> None:
    assert reduced(signals, behind) == row


@pytest.mark.parametrize(
    ("signals", "error"),
    [
        ([(F, 3, "three"), (F, 2, "two"), (F, 4, "four")], b"two"),
        ([(F, 2, "two"), (F, 3, "three")], b"two"),
        ([(F, 3, "three"), (F, 2, None)], b"three"),
        ([(F, 2, None), (F, 3, "three")], b"three"),
        ([(F, 2, "first"), (D, 2, "second")], b"second"),
        ([(D, 2, "first"), (F, 2, None)], b"first"),
        ([(F, 2, None)], None),
        ([(F, 2, "ä")], "ä".encode()),
        ([(C, 9, "said of a completed one"), (F, 2, None)], None),
    ],
)
def test_the_error_is_that_of_the_lowest_signal_else_another(
    signals: list[tuple[str, int, str | None]], error: bytes | None
) -> None:
    row = AckRow(1, b"g", None)
    own = [AckItem(b"t", 1, kind, None, text) for kind, _, text in signals]
    assert reduce(row, own, [offset for _, offset, _ in signals], -1)
    assert row.error == error


def told(results: list[AckResult]) -> list[str]:
    """One word per result."""
    return [_word(result) for result in results]


def _word(result: AckResult) -> str:
    if result.error is not None:
        return result.error
    return "dead" if result.dead else "noop" if result.noop else "done"


def item(engine: Engine, name: str, kind: str = C, *, partition: str = "eu", lease: str | None = None) -> AckItem:
    """An acknowledgement of a message in a partition that is known."""
    found = engine.catalog.partition("orders", partition)
    assert found is not None
    return AckItem(name.encode(), found.id, kind, lease, None)


def cursor(store: MemoryStore, group: str = QUEUE_MODE) -> Any:
    """The only cursor of a group."""
    (found,) = [one for place, one in store.cursors.items() if place[1] == group.encode()]
    return found


# One call, one lease.


@in_virtual_time
async def test_an_ack_of_everything_releases_the_lease_in_one_call() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b")
        request = await pop(engine)
        store.trouble.calls.clear()
        results = await ack(engine, request)
        assert store.trouble.calls == {"ack": 1}
        assert told(results) == ["done", "done"]
        assert all(result.released for result in results)
        assert {result.partition for result in results} == {request.spans[0][0]}
        assert (cursor(store).acked, len(engine.leases)) == (1, 0)
        counters = engine.stats.counters
        assert (counters.ack_requests, counters.ack_messages, counters.ack_rejected) == (1, 2, 0)


@in_virtual_time
async def test_an_ack_of_a_part_keeps_the_lease() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b", "c")
        request = await pop(engine)
        (result,) = await ack(engine, request, {"b": C})
        assert (result.released, cursor(store).acked) == (False, 1)
        assert engine.leases.get(request.lease_id) is not None
        assert told(await ack(engine, request)) == ["noop", "noop", "done"]


@in_virtual_time
async def test_a_failed_item_is_delivered_again_at_once_with_what_follows() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a", "b", "c")
        results = await ack(engine, await pop(engine), {"a": C, "b": F, "c": C})
        assert told(results) == ["done", "done", "done"]
        again = await pop(engine)
        assert (ids_of(again), again.spans[0][1].attempt) == (["b", "c"], 2)


@in_virtual_time
async def test_an_exhausted_item_is_marked_dead_and_the_rest_goes_on() -> None:
    store = MemoryStore()
    store.configure("orders", retryLimit=1)
    async with open_engine(store) as engine:
        await push(engine, "a", "b")
        assert told(await ack(engine, await pop(engine), {"a": F, "b": F})) == ["done", "done"]
        assert told(await ack(engine, await pop(engine), {"a": F, "b": F})) == ["dead", "done"]
        assert [letter.transaction_id for letter in store.dead_letters] == [b"a"]
        assert ids_of(await pop(engine)) == ["b"]
        assert engine.stats.counters.dead_letters == 1


@in_virtual_time
async def test_a_dead_item_is_set_aside_at_once() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b")
        request = await pop(engine)
        own = items(request, {"a": D})
        own[0].error = "unreadable"
        assert told(await engine.ack(QUEUE_MODE, own)) == ["dead"]
        assert store.dead_letters[0].error == b"unreadable"


@in_virtual_time
async def test_a_dropped_message_is_not_called_dead() -> None:
    store = MemoryStore()
    store.configure("orders", deadLetterQueue=False, dlqAfterMaxRetries=False)
    async with open_engine(store) as engine:
        await push(engine, "a")
        assert told(await ack(engine, await pop(engine), {"a": D})) == ["done"]
        assert (store.dead_letters, cursor(store).acked) == ([], 0)


@in_virtual_time
async def test_equal_ids_in_one_span_are_acknowledged_one_after_the_other() -> None:
    store = MemoryStore()
    store.configure("orders", dedupWindowSeconds=0)
    async with open_engine(store) as engine:
        await push(engine, "a", "b", "a")
        request = await pop(engine)
        await engine.ack(QUEUE_MODE, [item(engine, "a", lease=request.lease_id)])
        assert cursor(store).acked == 0
        await engine.ack(QUEUE_MODE, [item(engine, "a", lease=request.lease_id)] * 2)
        assert cursor(store).acked == 2


# What fails, and only that.


@in_virtual_time
async def test_unresolvable_items_fail_and_the_others_count() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b")
        request = await pop(engine)
        own = [item(engine, name, lease=request.lease_id) for name in ("a", "nothing", "b")]
        assert told(await engine.ack(QUEUE_MODE, own)) == ["done", UNRESOLVABLE, "done"]
        assert cursor(store).acked == 1
        assert engine.stats.counters.ack_rejected == 1


@in_virtual_time
async def test_only_unresolvable_items_change_nothing() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        request = await pop(engine)
        store.trouble.calls.clear()
        assert told(await engine.ack(QUEUE_MODE, [item(engine, "x", F, lease=request.lease_id)])) == [UNRESOLVABLE]
        assert not store.trouble.calls
        assert cursor(store).lease_id is not None


@in_virtual_time
async def test_a_stale_lease_is_refused_and_moves_nothing() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        old = await pop(engine, lease_ms=1000)
        await asyncio.sleep(5)
        new = await pop(engine)
        assert told(await ack(engine, old)) == [STALE_LEASE]
        assert told(await ack(engine, old, {"a": F})) == [STALE_LEASE]
        assert cursor(store).acked == -1
        assert told(await ack(engine, new)) == ["done"]


@in_virtual_time
async def test_a_lease_that_ended_in_the_database_first_is_refused() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        request = await pop(engine, lease_ms=10_000)
        store.advance(20)
        assert engine.leases.get(request.lease_id) is not None
        assert told(await ack(engine, request)) == [STALE_LEASE]


@pytest.mark.parametrize(
    "lease", ["nonsense", "6e03bab5-ad77-4e98-bec6-9ddad861c6a9", "zzzzzzzz-0a11-7d02-8c44-9b1e2d3c4f50", "ä" * 36]
)
def test_a_foreign_lease_is_refused(lease: str) -> None:
    @in_virtual_time
    async def whole() -> None:
        store = MemoryStore()
        async with open_engine(store) as engine:
            await push(engine, "a")
            await pop(engine)
            assert told(await engine.ack(QUEUE_MODE, [item(engine, "a", lease=lease)])) == [STALE_LEASE]
            assert cursor(store).acked == -1

    whole()


@in_virtual_time
async def test_a_lease_of_another_group_is_refused() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        request = await pop(engine, group="one")
        await pop(engine, group="two")
        assert told(await engine.ack("two", items(request))) == [STALE_LEASE]


@in_virtual_time
async def test_a_group_that_never_popped_has_nothing_to_acknowledge() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        assert told(await engine.ack("g", [item(engine, "a")])) == [NO_CONSUMER]


@in_virtual_time
async def test_ids_that_name_no_partition_fail_alone() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        request = await pop(engine)
        own = [AckItem(b"a", None, C, None, None), *items(request), AckItem(b"a", 999, C, None, None)]
        results = await engine.ack(QUEUE_MODE, own)
        assert told(results) == [INVALID_PARTITION, "done", UNRESOLVABLE]
        assert [result.partition is not None for result in results] == [False, True, False]
        assert await engine.ack(QUEUE_MODE, []) == []


@in_virtual_time
async def test_leases_of_one_call_are_judged_each_for_itself() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", partition="eu")
        await push(engine, "b", partition="us")
        one, two = await pop(engine, partition="eu"), await pop(engine, partition="us")
        stale = AckItem(b"a", one.spans[0][0].id, C, str(uuid.uuid4()), None)
        results = await engine.ack(QUEUE_MODE, [stale, *items(two), *items(one), stale])
        assert told(results) == [STALE_LEASE, "done", "done", STALE_LEASE]


@in_virtual_time
async def test_a_lease_over_several_partitions_ends_one_by_one() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", partition="eu")
        await push(engine, "b", partition="us")
        request = await pop(engine, partitions=2)
        results = await ack(engine, request, {"a": C})
        assert [(result.released, len(engine.leases)) for result in results] == [(True, 1)]
        await ack(engine, request, {"b": F})
        assert len(engine.leases) == 0
        assert ids_of(await pop(engine, partitions=2)) == ["b"]


@in_virtual_time
async def test_signals_behind_the_cursor_are_told_apart_from_fresh_ones() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b", "c", "d")
        request = await pop(engine)
        await ack(engine, request, {"b": C})
        results = await ack(engine, request, {"a": F, "b": C, "c": F, "d": C})
        assert told(results) == [ALREADY, "noop", "done", "done"]
        assert (cursor(store).acked, cursor(store).retries) == (1, 1)
        assert ids_of(await pop(engine)) == ["c", "d"]


@pytest.mark.parametrize("kind", [R, F, D])
def test_signals_that_are_all_behind_the_cursor_change_nothing(kind: str) -> None:
    @in_virtual_time
    async def whole() -> None:
        store = MemoryStore()
        async with open_engine(store) as engine:
            await push(engine, "a", "b")
            request = await pop(engine)
            await ack(engine, request, {"a": C})
            assert told(await ack(engine, request, {"a": kind})) == [ALREADY]
            assert (cursor(store).acked, cursor(store).lease_id is None, store.dead_letters) == (0, False, [])

    whole()


@in_virtual_time
async def test_a_cursor_that_always_moves_on_is_given_up() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b")
        request = await pop(engine)

        async def nothing(rows: list[AckRow]) -> list[Any]:
            return []

        store.ack_failed = nothing  # type: ignore[method-assign]
        with pytest.raises(errors.Contention):
            await ack(engine, request, {"a": F})


# Without the lease at hand.


@in_virtual_time
async def test_another_server_s_lease_is_looked_up() -> None:
    store = MemoryStore()
    async with open_engine(store) as other, open_engine(store) as engine:
        await push(other, "a", "b", "c")
        request = await pop(other, batch=2)
        own = [*items(request), AckItem(b"c", request.spans[0][0].id, C, request.lease_id, None)]
        results = await engine.ack(QUEUE_MODE, own)
        assert told(results) == ["done", "done", UNRESOLVABLE], "only the delivered span counts"
        assert results[0].partition is engine.catalog.by_id(request.spans[0][0].id)
        assert results[0].released
        assert told(await engine.ack(QUEUE_MODE, own)) == [STALE_LEASE] * 3


@in_virtual_time
async def test_a_lease_id_in_capitals_is_the_same_lease() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        request = await pop(engine)
        own = items(request)
        own[0].lease_id = request.lease_id.upper()
        assert told(await engine.ack(QUEUE_MODE, own)) == ["done"]


@in_virtual_time
async def test_an_ack_without_a_lease_is_applied() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b")
        await pop(engine, lease_ms=1000)
        await asyncio.sleep(5)
        assert told(await engine.ack(QUEUE_MODE, [item(engine, "a")])) == ["done"]
        assert told(await engine.ack(QUEUE_MODE, [item(engine, "a"), item(engine, "a", F)])) == ["noop", ALREADY]
        assert ids_of(await pop(engine)) == ["b"]


@in_virtual_time
async def test_a_forgotten_lease_is_settled_by_the_database() -> None:
    store = MemoryStore()
    async with open_engine(store, remembered_messages_max=1) as engine:
        await push(engine, "a", partition="eu")
        await push(engine, "b", partition="us")
        first = await pop(engine, partition="eu")
        await pop(engine, partition="us")
        assert engine.leases.get(first.lease_id) is None
        assert told(await ack(engine, first, {"a": R})) == ["done"]
        assert ids_of(await pop(engine, partition="eu")) == ["a"], "and its partition is ready at once"


# Under load, and in trouble.


@in_virtual_time
async def test_acks_gather_behind_the_one_in_flight() -> None:
    store = MemoryStore()
    async with open_engine(store, ack_flushes_max=1) as engine:
        for n in range(5):
            await push(engine, f"{n}", partition=f"{n}")
        requests = [await pop(engine) for _ in range(5)]
        gate = store.trouble.block("ack")
        tasks = [asyncio.ensure_future(ack(engine, requests[0]))]
        await gate.reached()
        tasks += [asyncio.ensure_future(ack(engine, request)) for request in requests[1:]]
        await settle()
        gate.open()
        assert [told(results) for results in await asyncio.gather(*tasks)] == [["done"]] * 5
        assert store.trouble.calls["ack"] == 2


@in_virtual_time
async def test_failures_and_completions_of_one_flush_both_arrive() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", partition="eu")
        await push(engine, "b", partition="us")
        one, two = await pop(engine), await pop(engine)
        await asyncio.gather(ack(engine, one), ack(engine, two, {"b": F}))
        assert ids_of(await pop(engine)) == ["b"]


@in_virtual_time
async def test_a_failed_call_fails_the_ack_and_keeps_the_lease() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        request = await pop(engine)
        store.trouble.fail("ack", errors.StoreUnavailable("away"))
        with pytest.raises(errors.StoreUnavailable):
            await ack(engine, request)
        assert told(await ack(engine, request)) == ["done"]


@in_virtual_time
async def test_a_failure_of_one_half_of_a_flush_does_not_unsay_the_other() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", partition="eu")
        await push(engine, "b", partition="us")
        one, two = await pop(engine), await pop(engine)
        store.trouble.fail("ack_failed", errors.StoreUnavailable("away"))
        done, failed = await asyncio.gather(ack(engine, one), ack(engine, two, {"b": F}), return_exceptions=True)
        assert not isinstance(done, BaseException)
        assert told(done) == ["done"]
        assert isinstance(failed, errors.StoreUnavailable)


@in_virtual_time
async def test_a_caller_that_leaves_leaves_its_ack_behind() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        request = await pop(engine)
        gate = store.trouble.block("ack")
        leaving = asyncio.ensure_future(ack(engine, request))
        await gate.reached()
        leaving.cancel()
        gate.open()
        await settle()
        assert (cursor(store).acked, len(engine.leases)) == (0, 0)


@in_virtual_time
async def test_giving_back_charges_nothing_and_needs_no_luck() -> None:
    store = MemoryStore()
    store.configure("orders", retryLimit=0)
    async with open_engine(store) as engine:
        await push(engine, "a", partition="eu")
        await push(engine, "b", partition="us")
        request = await pop(engine, partitions=2)
        await engine._ack.give_back(request)
        assert (len(engine.leases), store.dead_letters) == (0, [])
        request = await pop(engine, partitions=2)
        assert ids_of(request) == ["a", "b"]
        store.trouble.fail("ack", errors.StoreUnavailable("away"))
        await engine._ack.give_back(request)  # It runs out by itself.
        assert told(await ack(engine, request)) == ["done", "done"]
