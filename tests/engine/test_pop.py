"""Pop: what is delivered, who waits and wakes, and that no lease is left with nobody."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.engine import Engine, PopQuery
from queen.model import lease_partition
from tests.support.builders import ack, ids_of, message, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

HOUR_MS = 3_600_000


def live_leases(store: MemoryStore) -> int:
    """How many cursors are leased."""
    now = store.now()
    return sum(cursor.lease_id is not None and cursor.held(now) for cursor in store.cursors.values())


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


async def parked(engine: Engine, count: int) -> None:
    """Let everything run; so many polls are parked then."""
    await settle()
    assert engine.limits.parked_polls == count


# What is delivered.


@in_virtual_time
async def test_a_pop_returns_what_was_pushed_in_order() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b", "c")
        request = await pop(engine, batch=2)
        assert ids_of(request) == ["a", "b"]
        assert lease_partition(request.lease_id) == request.spans[0][0].id
        assert ids_of(await pop(engine)) == [], "one lease at a time"
        assert live_leases(store) == 1
        counters = engine.stats.counters
        assert (counters.pop_requests, counters.pop_messages, counters.pop_empty) == (2, 2, 1)


@in_virtual_time
async def test_a_warm_pop_is_one_call() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        await ack(engine, await pop(engine))
        await push(engine, "b")
        store.trouble.calls.clear()
        assert ids_of(await pop(engine)) == ["b"]
        assert store.trouble.calls == {"pop": 1}


@in_virtual_time
async def test_an_idle_pop_is_no_call() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        await ack(engine, await pop(engine))
        store.trouble.calls.clear()
        assert ids_of(await pop(engine)) == []
        assert not store.trouble.calls


@in_virtual_time
async def test_a_pop_on_an_unknown_queue_creates_it() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        assert ids_of(await pop(engine, queue="new.one", group="g")) == []
        assert store.queues["new.one"].namespace == "new"
        assert list(store.subscriptions) == [(store.queues["new.one"].id, "g")]


@in_virtual_time
async def test_first_contact_finds_by_a_sweep_what_others_stored() -> None:
    store = MemoryStore()
    async with open_engine(store) as writer:
        for n in range(5):
            await push(writer, f"m{n}", partition=str(n))
    async with open_engine(store) as engine:
        assert sorted(ids_of(await pop(engine, partitions=10))) == [f"m{n}" for n in range(5)]


@in_virtual_time
async def test_a_lease_that_another_server_settled_is_seen_by_the_next_sweep() -> None:
    store = MemoryStore()
    async with open_engine(store, loops=True) as engine, open_engine(store) as other:
        await push(engine, "a", "b")
        leased = await pop(engine, batch=1, lease_ms=3_600_000)
        assert ids_of(leased) == ["a"]
        assert all(result.error is None for result in await ack(other, leased))
        # Long before the end of that lease.
        assert ids_of(await pop(engine, wait_ms=60_000)) == ["b"]


@in_virtual_time
async def test_a_sweep_goes_on_after_a_full_page() -> None:
    store = MemoryStore()
    async with open_engine(store) as writer:
        await writer.push([message(str(n), partition=str(n)) for n in range(1100)])
    async with open_engine(store) as engine:
        got: list[str] = []
        while True:
            request = await pop(engine, batch=1000, partitions=1000, auto_ack=True)
            if not request.spans:
                break
            got += ids_of(request)
            await settle()
        assert sorted(got, key=int) == [str(n) for n in range(1100)]
        assert store.trouble.calls["ready_partitions"] == 4, "two pages, each read again after its cursors were opened"


@in_virtual_time
async def test_a_named_partition_is_found_before_the_first_sweep_reached_it() -> None:
    store = MemoryStore()
    async with open_engine(store) as writer:
        await writer.push([message(str(n), partition=str(n)) for n in range(1100)])
    async with open_engine(store) as engine:
        gate = store.trouble.block("ready_partitions", skip=2)
        assert ids_of(await pop(engine, partition="1099")) == ["1099"]
        gate.open()


@in_virtual_time
async def test_a_group_that_starts_at_new_sees_only_what_comes_after() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "old")
        assert ids_of(await pop(engine, group="g", mode="new")) == []
        await push(engine, "new")
        await push(engine, "other", partition="us")
        got = [ids_of(await pop(engine, group="g")) for _ in range(3)]
        assert sorted(got) == [[], ["new"], ["other"]]


@in_virtual_time
async def test_groups_do_not_disturb_each_other() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        assert [ids_of(await pop(engine, group=name)) for name in ("one", "two", "one")] == [["a"], ["a"], []]


@in_virtual_time
async def test_a_missing_cursor_is_opened_on_the_way() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        assert ids_of(await pop(engine)) == []
        await push(engine, "a")
        assert ids_of(await pop(engine)) == ["a"]
        assert store.trouble.calls["open_cursors"] == 1


@in_virtual_time
async def test_several_partitions_share_a_lease_up_to_the_cap() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        for n in range(5):
            await push(engine, f"{n}a", f"{n}b", partition=str(n))
        request = await pop(engine, batch=100, partitions=3)
        assert ids_of(request) == ["0a", "0b", "1a", "1b", "2a", "2b"]
        assert lease_partition(request.lease_id) == 0
        assert list(store.leases)
        assert ids_of(await pop(engine, batch=100, partitions=0)) == ["3a", "3b", "4a", "4b"]


@in_virtual_time
async def test_a_batch_smaller_than_its_partitions_leaves_the_rest_to_others() -> None:
    async with open_engine(MemoryStore()) as engine:
        for n in range(3):
            await push(engine, f"{n}a", f"{n}b", partition=str(n))
        assert ids_of(await pop(engine, batch=3, partitions=3)) == ["0a", "0b", "1a"]
        assert ids_of(await pop(engine, batch=3, partitions=3)) == ["2a", "2b"]


@in_virtual_time
async def test_partitions_take_turns() -> None:
    async with open_engine(MemoryStore()) as engine:
        for n in range(3):
            await push(engine, f"{n}a", f"{n}b", partition=str(n))
        got = []
        for _ in range(6):
            request = await pop(engine, batch=1)
            got += ids_of(request)
            await ack(engine, request)
        assert got == ["0a", "1a", "2a", "0b", "1b", "2b"]


@in_virtual_time
async def test_only_the_partition_that_was_asked_for() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a", partition="eu")
        await push(engine, "b", partition="us")
        assert ids_of(await pop(engine, partition="us", partitions=5)) == ["b"]
        assert ids_of(await pop(engine, partition="us")) == []
        assert ids_of(await pop(engine)) == ["a"]


@in_virtual_time
async def test_auto_ack_moves_the_cursor_at_delivery() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b", "c")
        first = await pop(engine, batch=2, auto_ack=True)
        assert (ids_of(first), first.lease_id) == (["a", "b"], "")
        assert ids_of(await pop(engine, batch=2, auto_ack=True)) == ["c"]
        assert (live_leases(store), len(engine.leases)) == (0, 0)


@in_virtual_time
async def test_discovery_takes_from_every_queue_that_matches() -> None:
    async with open_engine(MemoryStore()) as engine:
        for name in ("shop.mail", "shop.print", "other.mail"):
            await push(engine, name, queue=name)
        by_namespace = await pop(engine, queue=None, namespace="shop", group="a", partitions=9)
        by_both = await pop(engine, queue=None, namespace="shop", task="mail", group="b", partitions=9)
        assert ids_of(by_namespace) == ["shop.mail", "shop.print"]
        assert ids_of(by_both) == ["shop.mail"]
        assert ids_of(await pop(engine, queue=None, namespace="nothing")) == []


@in_virtual_time
async def test_the_lease_lasts_as_long_as_the_queue_or_the_pop_says() -> None:
    store = MemoryStore()
    store.configure("orders", leaseTime=100)
    async with open_engine(store) as engine:
        await push(engine, "a")
        for lease_ms, seconds in ((None, 100), (5000, 5)):
            start = now()
            await pop(engine, lease_ms=lease_ms)
            again = await pop(engine, wait_ms=HOUR_MS, lease_ms=1)
            assert seconds <= now() - start < seconds + 3
            await ack(engine, again, {"a": "retry"})


# Waiting.


@in_virtual_time
async def test_a_parked_poll_is_woken_by_a_push() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        await ack(engine, await pop(engine))
        poll = asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS))
        await parked(engine, 1)
        before = now()
        await push(engine, "b")
        assert ids_of(await poll) == ["b"]
        assert now() == before, "at once"
        await parked(engine, 0)


@in_virtual_time
async def test_each_push_wakes_one_poll_and_they_take_turns() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        for n in "12":
            await push(engine, f"first {n}", partition=n)
            await pop(engine, auto_ack=True)
        polls = []
        for _ in range(4):
            polls.append(asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS)))
            await settle()
        await push(engine, "a", partition="1")
        await push(engine, "b", partition="2")
        await parked(engine, 2)
        assert [ids_of(poll.result()) for poll in polls[:2]] == [["a"], ["b"]]


@in_virtual_time
async def test_a_poll_that_was_woken_in_vain_keeps_its_turn() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "first")
        await pop(engine, auto_ack=True)
        polls = []
        for _ in range(2):
            polls.append(asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS)))
            await settle()
        partition = engine.catalog.partition("orders", "eu")
        assert partition is not None
        [ready] = partition.queue.groups.values()
        store.trouble.calls.clear()
        ready.offer(partition)
        await parked(engine, 2)
        assert store.trouble.calls["pop"] == 1, "one of them looked"
        await push(engine, "next")
        await parked(engine, 1)
        assert ids_of(polls[0].result()) == ["next"]


@in_virtual_time
async def test_a_poll_ends_empty_at_its_deadline() -> None:
    async with open_engine(MemoryStore()) as engine:
        start = now()
        assert ids_of(await pop(engine, wait_ms=2000)) == []
        assert 2.0 <= now() - start <= 2.1
        assert engine.limits.parked_polls == 0


@in_virtual_time
async def test_a_poll_gets_what_becomes_free() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        held = await pop(engine)
        poll = asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS))
        await parked(engine, 1)
        before = now()
        await ack(engine, held, {"a": "retry"})
        assert ids_of(await poll) == ["a"]
        assert now() == before


@in_virtual_time
async def test_a_poll_gets_what_a_lease_leaves_behind_when_it_ends() -> None:
    async with open_engine(MemoryStore()) as engine:
        await push(engine, "a")
        await pop(engine, lease_ms=30_000)
        start = now()
        again = await pop(engine, wait_ms=HOUR_MS)
        assert (ids_of(again), again.spans[0][1].attempt) == (["a"], 2)
        assert 30 <= now() - start < 33
        assert engine.stats.counters.leases_expired == 1


@in_virtual_time
async def test_a_poll_notices_that_another_server_gave_its_lease_back() -> None:
    store = MemoryStore()
    async with open_engine(store) as other, open_engine(store) as engine:
        await push(other, "a")
        held = await pop(other)
        poll = asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS))
        await parked(engine, 1)
        await ack(other, held, {"a": "retry"})
        start = now()
        assert ids_of(await poll) == ["a"]
        assert now() - start < 5


@in_virtual_time
async def test_a_poll_waits_out_a_retry_delay() -> None:
    store = MemoryStore()
    store.configure("orders", retryDelay=20_000)
    async with open_engine(store) as engine:
        await push(engine, "a")
        await ack(engine, await pop(engine), {"a": "failed"})
        start = now()
        assert ids_of(await pop(engine, wait_ms=HOUR_MS)) == ["a"]
        assert 20 <= now() - start < 23


@in_virtual_time
async def test_a_cursor_locked_for_a_moment_is_looked_at_again() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        number = (await push(engine, "a")).chunks[0].partition.id
        await pop(engine, group="warm-up")
        await pop(engine, batch=1, auto_ack=True)
        await push(engine, "b")
        place = (number, b"__QUEUE_MODE__")
        store.locked_cursors.add(place)
        poll = asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS))
        await parked(engine, 1)
        store.locked_cursors.discard(place)
        start = now()
        assert ids_of(await poll) == ["b"]
        assert now() - start < 1


@in_virtual_time
async def test_stale_hints_in_any_number_do_not_hide_real_work() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine, open_engine(store) as other:
        await pop(engine)
        await engine.push([message(str(n), partition=f"{n:03}") for n in range(60)])
        while ids_of(await pop(other, partitions=59, batch=59, auto_ack=True)):
            pass
        await push(engine, "real", partition="zz")
        start = now()
        assert ids_of(await pop(engine, wait_ms=HOUR_MS)) == ["real"]
        assert now() - start < 1


@in_virtual_time
async def test_too_many_parked_polls_are_refused() -> None:
    async with open_engine(MemoryStore(), parked_polls_max=1) as engine:
        poll = asyncio.ensure_future(pop(engine, wait_ms=1000))
        await parked(engine, 1)
        with pytest.raises(errors.Overloaded):
            await pop(engine, wait_ms=1000)
        assert ids_of(await pop(engine)) == [], "one that does not wait is served"
        await poll
        assert (engine.limits.parked_polls, engine.limits.refused) == (0, 1)


@in_virtual_time
async def test_a_poll_ends_when_its_queue_is_deleted() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        await ack(engine, await pop(engine))
        poll = asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS))
        await parked(engine, 1)
        start = now()
        store.delete_queue("orders")
        engine.catalog.forget_queue("orders")
        assert ids_of(await poll) == []
        assert now() == start
        await push(engine, "b")
        assert ids_of(await pop(engine)) == ["b"]


@in_virtual_time
async def test_a_queue_deleted_between_the_look_and_the_wait_ends_the_poll() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        request = await engine.prepare_pop(PopQuery("orders", wait_ms=HOUR_MS))
        engine.catalog.forget_queue("orders")
        start = now()
        await engine.pop(request, HOUR_MS)
        assert now() == start


@in_virtual_time
async def test_a_poll_ends_when_its_group_is_deleted() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        await ack(engine, await pop(engine, group="g"))
        poll = asyncio.ensure_future(pop(engine, group="g", wait_ms=HOUR_MS))
        await parked(engine, 1)
        store.delete_group("g")
        engine.forget_group("g")
        assert ids_of(await poll) == []
        assert ids_of(await pop(engine, group="g")) == ["a"], "a first contact again"


@in_virtual_time
async def test_pops_of_one_flush_share_a_backlog() -> None:
    """The first of them leaves to the others what it has no use for."""
    store = MemoryStore()
    async with open_engine(store) as engine:
        for partition in ("p0", "p1", "p2"):
            await push(engine, *(f"{partition}-{n}" for n in range(11)), partition=partition)
        for _ in range(3):
            await ack(engine, await pop(engine, batch=1, partitions=1))
        pops = await asyncio.gather(*(pop(engine, batch=10, partitions=100) for _ in range(3)))
        assert [len(ids_of(request)) for request in pops] == [10, 10, 10]


# What was deleted.


@in_virtual_time
async def test_a_deleted_message_is_passed_and_the_database_left_in_peace() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", "b")
        await ack(engine, await pop(engine, batch=1))
        store.messages("orders", "eu").pop()
        poll = asyncio.create_task(pop(engine, wait_ms=HOUR_MS))
        await asyncio.sleep(1)
        assert store.trouble.calls["skip_gaps"] == 1
        calls = sum(store.trouble.calls.values())
        await asyncio.sleep(60)
        assert sum(store.trouble.calls.values()) == calls, "nothing is there, nobody asks"
        await push(engine, "c")
        assert ids_of(await poll) == ["c"]


@in_virtual_time
async def test_a_cursor_that_is_locked_for_a_moment_is_not_taken_for_a_gap() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        await ack(engine, await pop(engine))
        await push(engine, "b")
        store.locked_cursors.add((1, b"__QUEUE_MODE__"))
        poll = asyncio.create_task(pop(engine, wait_ms=HOUR_MS))
        await asyncio.sleep(0.005)
        store.locked_cursors.clear()
        assert ids_of(await poll) == ["b"]
        assert "skip_gaps" not in store.trouble.calls
