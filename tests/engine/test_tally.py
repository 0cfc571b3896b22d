"""What was done with each queue is counted as it was done: per queue, and over all queues, whatever the verb."""

from __future__ import annotations

import asyncio

from queen import errors
from queen.engine.engine import Engine, PopQuery
from queen.engine.tally import Tallies
from queen.engine.transaction import AckOperation
from queen.model import AckItem
from queen.store.activity import ALL_QUEUES, Counts
from tests.support.builders import ack, items, message, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time
from tests.support.memory_store import MemoryStore


def counts(engine: Engine, queue: str | None = "orders") -> Counts:
    """What was counted of a queue, or of all; without the lags, which depend on clocks."""
    rows = engine.activity.running().rows
    queue_id = ALL_QUEUES
    if queue is not None:
        found = engine.catalog.queue(queue)
        assert found is not None
        queue_id = found.id
    row = next((one for (number, _), one in rows.items() if number == queue_id), Counts())
    return row._replace(lag_ms_sum=0.0, lag_ms_max=0.0)


@in_virtual_time
async def test_a_push_counts_once_for_each_queue_with_its_messages() -> None:
    async with open_engine(MemoryStore()) as engine:
        await engine.push([message("a"), message("b", queue="bills"), message("c", "us"), message("d")])
        assert counts(engine) == Counts(push_requests=1, push_messages=3)
        assert counts(engine, "bills") == Counts(push_requests=1, push_messages=1)
        assert counts(engine, None) == Counts(push_requests=1, push_messages=4)


@in_virtual_time
async def test_duplicates_are_no_messages() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        await push(engine, "a", "b")
        assert counts(engine) == Counts(push_requests=2, push_messages=2)


@in_virtual_time
async def test_what_is_pushed_within_a_pop_is_counted_where_it_was_done() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a", "b")
        await push(engine, "c", partition="us")
        await pop(engine, partitions=2)
        await pop(engine)
        found = counts(engine)
        assert (found.pop_requests, found.pop_messages, found.pop_empty, found.lag_count) == (2, 3, 1, 2)
        assert counts(engine, None) == found


@in_virtual_time
async def test_groups_count_apart_and_auto_ack_completes_at_delivery() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a", "b")
        await pop(engine, group="g", auto_ack=True)
        await ack(engine, await pop(engine, group="h"))
        assert counts(engine)._replace(push_requests=0, push_messages=0) == Counts(
            pop_requests=2, pop_messages=4, lag_count=2, ack_requests=1, ack_success=4
        )


@in_virtual_time
async def test_acks_are_told_apart_by_what_became_of_them() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a", "b", "c")
        leased = await pop(engine)
        await ack(engine, leased, {"a": "completed", "b": "failed"})
        await ack(engine, leased, {"c": "completed"})  # The lease ended with the failure.
        found = counts(engine)
        assert (found.ack_requests, found.ack_success, found.ack_failed, found.ack_rejected) == (2, 1, 1, 1)
        assert counts(engine, None) == found


@in_virtual_time
async def test_an_ack_that_is_repeated_completes_nothing_more() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a", "b")
        leased = await pop(engine)
        await ack(engine, leased)
        again = [AckItem(one.transaction_id, one.partition_id, one.kind, None, None) for one in items(leased)]
        assert [result.error for result in await engine.ack(leased.group, again)] != []
        assert counts(engine).ack_success == 2


@in_virtual_time
async def test_acks_of_nothing_that_is_known_are_in_the_sums_alone() -> None:
    async with open_engine(MemoryStore()) as engine:
        await engine.ack("g", [AckItem(b"a", None, "completed", None, None)])
        assert counts(engine, None) == Counts(ack_requests=1, ack_rejected=1)
        assert len(engine.stats.tallies) == 0


@in_virtual_time
async def test_dead_letters_belong_to_their_queue() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a", "b")
        await ack(engine, await pop(engine), {"a": "dlq"})
        assert (counts(engine).dead_letters, counts(engine).ack_failed) == (1, 1)
        assert counts(engine, None).dead_letters == 1


@in_virtual_time
async def test_a_pop_by_namespace_counts_where_it_found_something() -> None:
    async with open_engine(MemoryStore()) as engine:
        await engine.push([message("a", queue="shop.one"), message("b", queue="shop.two")])
        for name in ("shop.one", "shop.two"):
            await engine.catalog.ensure_queue(name)
        await pop(engine, None, namespace="shop", batch=10, partitions=10)
        await pop(engine, None, namespace="shop")
        total = counts(engine, None)
        assert (total.pop_requests, total.pop_messages, total.pop_empty) == (2, 2, 1)
        for name in ("shop.one", "shop.two"):
            assert (counts(engine, name).pop_requests, counts(engine, name).pop_empty) == (1, 0)


@in_virtual_time
async def test_a_transaction_counts_once_for_each_of_its_queues() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a", "b")
        leased = await pop(engine)
        acks = [AckOperation(leased.group, item) for item in items(leased)]
        await engine.transact([*acks, message("x", queue="bills"), message("y", queue="bills")], [])
        assert counts(engine, "bills") == Counts(push_messages=2, transactions=1)
        found = counts(engine)
        assert (found.transactions, found.ack_success, found.ack_requests) == (1, 2, 0)
        total = counts(engine, None)
        assert (total.transactions, total.ack_success, total.push_messages) == (1, 2, 4)


@in_virtual_time
async def test_a_refused_transaction_counts_nothing() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        before = counts(engine)
        try:
            await engine.transact([message("a")], [])
        except errors.TransactionRefused:
            pass
        assert counts(engine) == before


@in_virtual_time
async def test_the_lag_is_from_the_storing_to_the_delivery() -> None:
    async with open_engine(MemoryStore()) as engine:
        tallies = engine.stats.tallies
        await push(engine, "a")
        request = await engine.prepare_pop(PopQuery("orders", batch=10))
        await engine.pop(request, 0)
        stored_us = request.spans[0][1].created_ats[0]
        now_us = stored_us + 5_000_000
        tallies.close(10)
        tallies.of(request.sets[0].queue).add_lag(now_us - stored_us)
        row = engine.activity.running().rows[request.sets[0].queue.id, engine.activity.running().since]
        assert (row.lag_count, row.lag_ms_sum, row.lag_ms_max) == (1, 5000.0, 5000.0)


@in_virtual_time
async def test_clocks_that_differ_make_no_negative_lag() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        engine.stats.tallies.clock_ahead_us = 1 << 60
        leased = await pop(engine)
        tally = leased.sets[0].queue.tally
        assert tally is not None
        assert (tally.lag_count, tally.lag_us_sum, tally.lag_us_max) == (1, 0, 0)


@in_virtual_time
async def test_only_the_busiest_queues_are_taken_and_the_others_go_on() -> None:
    async with open_engine(MemoryStore()) as engine:
        for number in range(5):
            await push(engine, *[f"t{n}" for n in range(number + 1)], queue=f"q{number}")
        tallies: Tallies = engine.stats.tallies
        taken = tallies.close(2)
        assert sorted(queue.name for queue, _ in taken) == ["q3", "q4"]
        await push(engine, "more", queue="q0")
        rest = {queue.name: tally.push_messages for queue, tally in tallies.close(10)}
        assert rest == {"q0": 2, "q1": 2, "q2": 3}
        assert len(tallies) == 0


@in_virtual_time
async def test_a_parked_poll_is_seen_while_it_waits() -> None:
    async with open_engine(MemoryStore()) as engine:
        waiting = asyncio.ensure_future(pop(engine, wait_ms=1000))
        await asyncio.sleep(0.5)
        assert counts(engine).parked == counts(engine, None).parked == 1
        await waiting
        assert counts(engine).parked == 0
