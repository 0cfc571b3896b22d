"""Servers that hear one another: work, leases, options and queues of one are known to the other at once."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.engine import Engine
from queen.store.base import QueueRow
from tests.engine.cluster import elapsed, now, open_cluster
from tests.support.builders import ack, ids_of, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

HOUR_MS = 3_600_000
SOON_S = 0.1


async def parked(engine: Engine, count: int = 1) -> None:
    """Wait until so many polls are parked."""
    for _ in range(1000):
        if engine.limits.parked_polls >= count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{engine.limits.parked_polls} polls are parked instead of {count}")


async def configure(store: MemoryStore, engine: Engine, queue: str, **options: object) -> None:
    """As the route does it."""
    store.configure(queue, **options)
    [row] = await store.find_queues(name=queue)
    engine.queue_changed(row)


# Alone.


@in_virtual_time
async def test_a_server_alone_announces_nothing() -> None:
    store = MemoryStore()
    async with open_cluster(store, 1) as [one]:
        store.trouble.calls.clear()
        await push(one, "a")
        await ack(one, await pop(one))
        await configure(store, one, "orders", leaseTime=5)
        await asyncio.sleep(5)
        assert {"announce", "recent_changes", "trim_changes"} & set(store.trouble.calls) == set()
        assert len(one.outbox) == 0


# Work.


@in_virtual_time
async def test_a_push_wakes_a_poll_of_another_server() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        for turn in range(3):  # A partition it does not know, then one it knows, then a new one.
            poll = asyncio.ensure_future(pop(two, wait_ms=HOUR_MS))
            await parked(two)
            since = now()
            await push(one, str(turn), partition="us" if turn == 2 else "eu")
            request = await poll
            assert ids_of(request) == [str(turn)]
            assert elapsed(since) < SOON_S
            await ack(two, request)


@in_virtual_time
async def test_a_burst_of_pushes_is_few_announcements() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        polls = [asyncio.ensure_future(pop(two, wait_ms=HOUR_MS, batch=1)) for _ in range(50)]
        await parked(two, 50)
        store.trouble.calls.clear()
        await asyncio.gather(*[push(one, str(n), partition=str(n)) for n in range(50)])
        found = [ids_of(request) for request in await asyncio.gather(*polls)]
        assert sorted(ids[0] for ids in found) == sorted(str(n) for n in range(50))
        assert store.trouble.calls["announce"] <= 2
        assert store.trouble.calls["partition_names"] <= 2


@in_virtual_time
async def test_steady_pushes_are_announced_at_a_pace() -> None:
    store = MemoryStore()
    async with open_cluster(store, announce_ms=100) as [one, two]:
        await pop(two)
        store.trouble.calls.clear()
        for n in range(950):
            await push(one, str(n))
            await asyncio.sleep(0.001)
        assert 8 <= store.trouble.calls["announce"] <= 12
        store.trouble.calls.clear()
        await configure(store, one, "orders", leaseTime=7)
        await settle()
        assert store.trouble.calls["announce"] == 1, "options do not wait"


@in_virtual_time
async def test_news_that_nobody_here_asked_for_cost_no_call() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a")
        store.trouble.calls.clear()
        await asyncio.sleep(0.5)
        await push(one, "b", partition="us")
        await asyncio.sleep(0.5)
        assert {"partition_names", "queues_by_id", "ready_partitions"} & set(store.trouble.calls) == set()
        assert two.catalog.queue("orders") is None


@in_virtual_time
async def test_news_too_long_for_a_notification_are_read() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await pop(two)
        names = [str(n) for n in range(3000)]
        await one.catalog.ensure_partitions(("orders", name) for name in names)
        polls = [asyncio.ensure_future(pop(two, wait_ms=HOUR_MS, batch=1)) for _ in range(3000)]
        await parked(two, 3000)
        await asyncio.gather(*[push(one, name, partition=name) for name in names])
        await asyncio.gather(*polls)
        assert store.trouble.calls["recent_changes"] >= 1


@in_virtual_time
async def test_a_missed_announcement_is_noticed_and_read() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        poll = asyncio.ensure_future(pop(two, "second", wait_ms=HOUR_MS))
        await pop(two, "first")
        await push(one, "seen", queue="third")
        await asyncio.sleep(0.1)
        store.ears.remove(two.hearing.heard)
        await push(one, "missed", queue="second")
        await asyncio.sleep(0.1)
        store.ears.append(two.hearing.heard)
        assert not poll.done()
        await push(one, "later", queue="first")
        assert ids_of(await asyncio.wait_for(poll, SOON_S)) == ["missed"]


@in_virtual_time
async def test_a_server_that_heard_nothing_for_a_while_looks_at_everything() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        polls = [asyncio.ensure_future(pop(two, queue, wait_ms=HOUR_MS)) for queue in ("a", "b")]
        await parked(two, 2)
        store.ears.remove(two.hearing.heard)
        for queue in ("a", "b"):
            await push(one, queue, queue=queue)
        await configure(store, one, "a", leaseTime=7)
        await asyncio.sleep(60)
        assert not any(poll.done() for poll in polls)
        store.changes.clear()  # Announcements are kept for some seconds only.
        two.hearing.down()
        store.ears.append(two.hearing.heard)
        two.hearing.up()
        assert [ids_of(await asyncio.wait_for(poll, 1)) for poll in polls] == [["a"], ["b"]]
        queue_a = two.catalog.queue("a")
        assert queue_a is not None
        assert queue_a.lease_ms == 7000


@in_virtual_time
async def test_without_notifications_announcements_are_read() -> None:
    store = MemoryStore()
    async with open_cluster(store, deaf=True) as [one, two]:
        poll = asyncio.ensure_future(pop(two, wait_ms=HOUR_MS))
        await parked(two)
        await asyncio.sleep(5)
        since = now()
        await push(one, "a")
        assert ids_of(await poll) == ["a"]
        assert elapsed(since) <= 1.2
        store.trouble.calls.clear()
        await asyncio.sleep(100)
        assert 150 < store.trouble.calls["recent_changes"] < 250, "once a second and server"


@in_virtual_time
async def test_a_failed_announcement_is_repeated() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        poll = asyncio.ensure_future(pop(two, wait_ms=HOUR_MS))
        await parked(two)
        store.trouble.fail("announce", *[errors.StoreUnavailable("away")] * 3)
        await push(one, "a")
        assert ids_of(await asyncio.wait_for(poll, 5)) == ["a"]
        assert one.stats.counters.announcements_failed == 3


@in_virtual_time
async def test_more_than_can_be_said_is_said_by_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queen.engine.outbox.PENDING_MAX", 10)
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        polls = [asyncio.ensure_future(pop(two, wait_ms=HOUR_MS, batch=1)) for _ in range(35)]
        await parked(two, 35)
        gate = store.trouble.block("announce")
        await push(one, "first", partition="first")
        await gate.reached()
        await asyncio.gather(*[push(one, str(n), partition=str(n)) for n in range(34)])
        assert len(one.outbox) <= 10
        gate.open()
        await asyncio.wait_for(asyncio.gather(*polls), 5)


@in_virtual_time
async def test_texts_of_others_on_the_channel_do_no_harm() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        poll = asyncio.ensure_future(pop(two, wait_ms=HOUR_MS))
        await parked(two)
        for text in ("", "x", "a:b:c", f"{one.instance_id.hex}:9:[1]", f"{one.instance_id.hex}:9:{{"):
            two.hearing.heard(text)
        await push(one, "a")
        assert ids_of(await asyncio.wait_for(poll, 1)) == ["a"]


# Leases.


@in_virtual_time
async def test_an_ack_elsewhere_ends_the_lease_here() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a", "b", "c")
        request = await pop(one, batch=1)
        poll = asyncio.ensure_future(pop(one, wait_ms=HOUR_MS, batch=1))
        await parked(one)
        since = now()
        assert [result.error for result in await ack(two, request)] == [None]
        assert ids_of(await poll) == ["b"]
        assert elapsed(since) < SOON_S
        assert len(one.leases) == 1
        await asyncio.sleep(400)
        assert one.stats.counters.leases_expired == 1, "only the second one ran out"


@in_virtual_time
async def test_a_lease_that_ends_on_one_server_wakes_a_poll_on_the_other() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a", "b")
        request = await pop(one, batch=1)
        poll = asyncio.ensure_future(pop(two, wait_ms=HOUR_MS, batch=1))
        await parked(two)
        await asyncio.sleep(20.3)  # It has looked again a few times, and waits longest now.
        since = now()
        await ack(one, request)
        assert ids_of(await poll) == ["b"]
        assert elapsed(since) < SOON_S


@in_virtual_time
async def test_a_push_after_a_lease_elsewhere_is_seen_at_once() -> None:
    """The lease ended with nothing left: what comes afterwards must not wait for the next look at that lease."""
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a")
        request = await pop(one)
        poll = asyncio.ensure_future(pop(two, wait_ms=HOUR_MS))
        await parked(two)
        await asyncio.sleep(20.3)
        await ack(one, request)
        await asyncio.sleep(0.05)
        since = now()
        await push(one, "b")
        assert ids_of(await poll) == ["b"]
        assert elapsed(since) < SOON_S


@in_virtual_time
async def test_messages_pushed_elsewhere_during_a_lease_are_delivered_after_it() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a")
        request = await pop(one)
        await push(two, "b")
        await asyncio.sleep(0.1)
        poll = asyncio.ensure_future(pop(one, wait_ms=HOUR_MS))
        await parked(one)
        await ack(one, request)
        assert ids_of(await asyncio.wait_for(poll, SOON_S)) == ["b"]


@in_virtual_time
async def test_a_lease_elsewhere_is_looked_at_less_and_less_often() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a")
        await pop(one, lease_ms=300_000)
        poll = asyncio.ensure_future(pop(two, wait_ms=HOUR_MS))
        await parked(two)
        await asyncio.sleep(10)
        store.trouble.calls.clear()
        await asyncio.sleep(100)
        assert 18 <= store.trouble.calls["pop"] <= 22
        await asyncio.sleep(300)
        assert ids_of(await poll) == ["a"], "it ran out, on the dead server's behalf too"


# Options, deletions, groups.


@in_virtual_time
@pytest.mark.spec("R30")
async def test_options_changed_on_one_server_hold_on_the_other() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a")
        await pop(two)
        queue = two.catalog.queue("orders")
        assert queue is not None
        await configure(store, one, "orders", leaseTime=7)
        await asyncio.sleep(SOON_S)
        assert queue.lease_ms == 7000
        assert two.catalog.queue("orders") is queue


@in_virtual_time
@pytest.mark.spec("R30")
async def test_an_answer_that_was_on_its_way_does_not_bring_old_options_back() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(two, "a")  # Known by name only: its options load on first need.
        gate = store.trouble.block("ensure_queue", after=True)
        poll = asyncio.ensure_future(pop(two))
        await gate.reached()
        await configure(store, one, "orders", leaseTime=7)
        await asyncio.sleep(SOON_S)
        gate.open()
        await poll
        queue = two.catalog.queue("orders")
        assert queue is not None
        assert queue.lease_ms == 7000


@in_virtual_time
async def test_two_servers_that_configure_at_once_end_with_the_same_options() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await pop(one)
        await pop(two)
        store.configure("orders", leaseTime=1)
        [stale] = await store.find_queues(name="orders")
        await configure(store, two, "orders", leaseTime=2)
        await asyncio.sleep(SOON_S)
        one.queue_changed(QueueRow(*stale))  # Its answer comes late: the other one was faster.
        await asyncio.sleep(SOON_S)
        for engine in (one, two):
            queue = engine.catalog.queue("orders")
            assert queue is not None
            assert queue.lease_ms == 2000


@in_virtual_time
@pytest.mark.spec("R30")
async def test_what_is_held_back_is_looked_at_again_when_options_change() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        partition = (await push(two, "a")).chunks[0].partition
        await pop(two, auto_ack=True)
        [ready] = partition.queue.groups.values()
        await push(two, "b")
        ready.take(1, 99, None)[0]
        two.leases.hold(ready, partition, 3600)  # As a delay does it.
        assert partition.id not in ready.ready
        await configure(store, one, "orders", retryLimit=1)
        await asyncio.sleep(SOON_S)
        assert ids_of(await pop(two)) == ["b"]


@in_virtual_time
@pytest.mark.spec("R30")
async def test_a_queue_deleted_on_one_server_is_forgotten_by_the_other() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        old = (await push(two, "a")).chunks[0].partition
        poll = asyncio.ensure_future(pop(two, group="late", wait_ms=HOUR_MS, mode="new"))
        await parked(two)
        store.delete_queue("orders")
        one.queue_deleted("orders")
        await asyncio.sleep(SOON_S)
        assert poll.done(), "its queue is gone"
        assert (two.catalog.queue("orders"), two.catalog.by_id(old.id)) == (None, None)
        store.trouble.calls.clear()
        new = (await push(two, "a")).chunks[0]
        assert new.base == 0
        assert new.partition.id != old.id
        assert store.trouble.calls["push"] == 1, "at once under the new id"


@in_virtual_time
async def test_a_group_deleted_on_one_server_begins_anew_on_the_other() -> None:
    store = MemoryStore()
    async with open_cluster(store) as [one, two]:
        await push(one, "a")
        await ack(two, await pop(two, group="g"))
        assert ids_of(await pop(two, group="g")) == []
        store.delete_group("g")
        one.forget_group("g")
        await asyncio.sleep(SOON_S)
        assert ids_of(await pop(two, group="g")) == ["a"]


# Discovery.


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("configured", [False, True])
def test_a_pop_by_namespace_hears_of_queues_that_come_later(elsewhere: bool, configured: bool) -> None:
    @in_virtual_time
    async def check() -> None:
        store = MemoryStore()
        async with open_cluster(store) as [one, two]:
            await push(one, "x", queue="other.thing")
            poll = asyncio.ensure_future(pop(two, None, namespace="shop", wait_ms=HOUR_MS))
            await parked(two)
            actor = one if elsewhere else two
            if configured:
                await configure(store, actor, "shop.mail", leaseTime=5)
                await asyncio.sleep(SOON_S)
                assert not poll.done()
            await push(actor, "a", queue="shop.mail")
            assert ids_of(await asyncio.wait_for(poll, SOON_S)) == ["a"]
            assert two.catalog.queue("other.thing") is None, "what matches no pop is not remembered"

    check()


@in_virtual_time
async def test_pops_without_a_queue_leave_nothing_behind() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        assert ids_of(await pop(engine, None, namespace="shop", wait_ms=1000)) == []
        store.trouble.fail("find_queues", errors.StoreUnavailable("away"))
        with pytest.raises(errors.StoreUnavailable):
            await pop(engine, None, namespace="shop", wait_ms=1000)
        await push(engine, "a", queue="shop.mail")
        await settle()
        assert store.trouble.calls["queues_by_id"] == 0
