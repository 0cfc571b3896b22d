"""The leases in memory: where transaction ids stand, what comes back at the end, and bounds on what is remembered."""

from __future__ import annotations

import asyncio

import pytest

from queen.engine.catalog import Partition, Queue
from queen.engine.leases import Lease, LeasedSpan, Leases
from queen.engine.ready import ReadySet
from queen.engine.stats import Stats
from queen.store.base import Span
from tests.support.fake_clock import in_virtual_time


class Table:
    """Leases over partitions of one queue."""

    def __init__(self, messages_max: int = 1000, partitions: int = 3) -> None:
        self.stats = Stats()
        self.leases = Leases(self.stats, messages_max)
        self.queue = Queue(1, "orders")
        self.ready = self.queue.groups["g"] = ReadySet(self.queue, "g")
        self.parts = [Partition(number, self.queue, str(number), 1) for number in range(1, partitions + 1)]

    def lease(self, name: str, seconds: float, *parts: Partition, messages: int = 1) -> Lease:
        """Hand out a lease."""
        lease = Lease(name, "g", asyncio.get_running_loop().time() + seconds)
        for part in parts:
            lease.spans[part.id] = LeasedSpan(self.ready, part, span(*[f"{n}" for n in range(messages)]))
        self.leases.add(lease)
        return lease


def span(*names: str, first: int = 0, offsets: tuple[int, ...] | None = None) -> Span:
    """A span of messages with these ids."""
    ids = [name.encode() for name in names]
    return Span(1, first, offsets, 1, first + len(ids), ids, [b"1"] * len(ids), (0,) * len(ids), None)


def leased(found: Span) -> LeasedSpan:
    queue = Queue(1, "orders")
    return LeasedSpan(ReadySet(queue, "g"), Partition(1, queue, "1", 1), found)


@in_virtual_time
async def test_transaction_ids_stand_side_by_side_from_the_first_offset() -> None:
    one = leased(span("a", "b", "c", first=40))
    assert one.offsets_of([b"c", b"a", b"x", b"b"]) == [42, 40, None, 41]
    assert one.last_offset == 42


@in_virtual_time
async def test_transaction_ids_stand_at_the_offsets_that_are_listed() -> None:
    one = leased(span("a", "b", first=3, offsets=(3, 9)))
    assert one.offsets_of([b"b", b"a"]) == [9, 3]
    assert one.last_offset == 9


@in_virtual_time
async def test_equal_transaction_ids_mean_the_lowest_then_the_next() -> None:
    one = leased(span("a", "b", "a", "a"))
    assert one.offsets_of([b"a", b"a", b"b", b"a", b"a", b"x"]) == [0, 2, 1, 3, 3, None]
    assert one.offsets_of([b"a"]) == [0], "each call counts for itself"


@in_virtual_time
async def test_a_lease_that_ends_makes_its_partitions_ready() -> None:
    table = Table()
    table.lease("l", 30, *table.parts[:2])
    assert [table.ready.is_held(part.id) for part in table.parts] == [True, True, False]
    await asyncio.sleep(29.9)
    assert not table.ready.ready
    await asyncio.sleep(0.2)
    assert list(table.ready.ready) == [1, 2]
    assert (len(table.leases), table.stats.counters.leases_expired) == (0, 1)


@in_virtual_time
async def test_a_settled_lease_is_forgotten_partition_by_partition() -> None:
    table = Table()
    lease = table.lease("l", 30, *table.parts[:2])
    table.leases.settle(lease, 1)
    assert table.leases.get("l") is lease
    table.leases.settle(lease, 2)
    assert table.leases.get("l") is None
    await asyncio.sleep(60)
    assert not table.ready.ready, "its end means nothing any more"
    assert table.stats.counters.leases_expired == 0


@in_virtual_time
async def test_an_extended_lease_ends_later_and_never_earlier() -> None:
    table = Table()
    table.lease("l", 30, table.parts[0])
    table.leases.extended("l", 100_000)
    table.leases.extended("l", 1000)
    table.leases.extended("unknown", 1000)
    await asyncio.sleep(99)
    assert table.ready.is_held(1)
    await asyncio.sleep(1.5)
    assert list(table.ready.ready) == [1]


@in_virtual_time
async def test_the_oldest_leases_make_room_and_their_partitions_come_back_at_their_end() -> None:
    table = Table(messages_max=10)
    table.lease("old", 30, table.parts[0], messages=6)
    table.lease("new", 60, table.parts[1], messages=6)
    assert (table.leases.get("old"), len(table.leases)) == (None, 1)
    assert table.ready.is_held(1)
    await asyncio.sleep(31)
    assert list(table.ready.ready) == [1]
    assert table.stats.counters.leases_expired == 0, "what was forgotten is not counted"


@in_virtual_time
async def test_a_single_lease_may_be_larger_than_the_bound() -> None:
    table = Table(messages_max=0)
    table.lease("l", 30, table.parts[0], messages=50)
    assert len(table.leases) == 1


@in_virtual_time
async def test_the_ends_of_settled_leases_do_not_pile_up() -> None:
    table = Table(messages_max=1000)
    for n in range(20_000):
        table.leases.settle(table.lease(str(n), 300, table.parts[0]), 1)
        assert len(table.leases._ends) <= 2 * len(table.leases) + 1002
    assert len(table.leases) == 0
    table.lease("last", 5, table.parts[0])
    await asyncio.sleep(6)
    assert list(table.ready.ready) == [1]


@in_virtual_time
async def test_a_hold_ends_at_its_time() -> None:
    table = Table()
    table.leases.hold(table.ready, table.parts[0], 10)
    await asyncio.sleep(9.9)
    assert table.ready.is_held(1)
    await asyncio.sleep(0.2)
    assert list(table.ready.ready) == [1]


@in_virtual_time
async def test_the_end_of_an_old_hold_does_not_end_a_lease_given_since() -> None:
    table = Table()
    table.leases.hold(table.ready, table.parts[0], 10)
    table.ready.free(table.parts[0], more=False)
    table.lease("l", 60, table.parts[0])
    await asyncio.sleep(20)
    assert table.ready.is_held(1)
    await asyncio.sleep(41)
    assert list(table.ready.ready) == [1]


@in_virtual_time
async def test_a_lease_of_another_server_is_looked_at_again_soon() -> None:
    table = Table()
    table.leases.hold_elsewhere(table.ready, table.parts[0], 300_000)
    await asyncio.sleep(1.1)
    assert list(table.ready.ready) == [1]


@in_virtual_time
async def test_a_read_older_than_what_happened_here_is_not_believed() -> None:
    table = Table()
    table.ready.begin_read()
    table.ready.free(table.parts[0], more=False)
    table.leases.hold_elsewhere(table.ready, table.parts[0], 300_000)
    assert list(table.ready.ready) == [1]


@pytest.mark.parametrize("order", [(30, 60), (60, 30)])
def test_leases_end_in_the_order_of_their_ends(order: tuple[float, float]) -> None:
    @in_virtual_time
    async def whole() -> None:
        table = Table()
        for part, seconds in zip(table.parts, order, strict=False):
            table.lease(part.name, seconds, part)
        await asyncio.sleep(45)
        assert list(table.ready.ready) == [1 + order.index(30)]
        await asyncio.sleep(45)
        assert sorted(table.ready.ready) == [1, 2]

    whole()


@in_virtual_time
async def test_no_timer_rings_after_close() -> None:
    table = Table()
    table.lease("l", 5, table.parts[0])
    table.leases.close()
    await asyncio.sleep(10)
    assert not table.ready.ready
