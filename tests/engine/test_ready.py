"""Ready sets, waiters and their timers: one wake for one partition, first come first served, nothing lost."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.catalog import Partition, Queue
from queen.engine.ready import LOOK_TAKES_AT_MOST_S, ReadySet, Waiter
from queen.engine.timers import Timers
from tests.support.fake_clock import in_virtual_time, settle

FAR = 1e9


def ready_set(count: int = 3) -> tuple[ReadySet, list[Partition]]:
    """A set with nothing in it, and partitions to put there."""
    queue = Queue(1, "orders")
    ready = queue.groups["g"] = ReadySet(queue, "g")
    return ready, [Partition(number, queue, str(number), 1) for number in range(1, count + 1)]


def woken(*waiters: Waiter) -> list[bool | None]:
    """What each was told; None: still waiting."""
    return [waiter.future.result() if waiter.future.done() else None for waiter in waiters]


@in_virtual_time
async def test_take_returns_the_longest_waiting_first_and_holds_them() -> None:
    ready, parts = ready_set()
    for part in parts:
        ready.offer(part)
    assert ready.take(2, 99, None)[0] == parts[:2]
    assert [ready.is_held(part.id) for part in parts] == [True, True, False]
    assert ready.take(5, 99, None)[0] == parts[2:]
    assert ready.take(5, 99, None)[0] == []


@in_virtual_time
async def test_take_leaves_what_is_not_needed_to_the_next_pop() -> None:
    """Where the depth is known. An unknown one may be a single message."""
    ready, parts = ready_set()
    for part in parts:
        part.head = 50
        ready.free(part, more=True, acked=9)
    assert ready.take(5, 40, None) == (parts[:1], 40)
    ready.acked.pop(parts[1].id)
    assert ready.take(5, 40, None) == (parts[1:], 41)
    assert ready.acked == {}
    ready.free(parts[0], more=True, acked=9)
    ready.free(parts[0], more=False)
    assert ready.take(5, 40, None)[1] == 40


@in_virtual_time
async def test_take_of_one_named_partition() -> None:
    ready, parts = ready_set()
    ready.offer(parts[0])
    assert ready.take(9, 99, 2)[0] == []
    assert ready.take(9, 99, 1)[0] == parts[:1]
    assert not ready.ready


@in_virtual_time
async def test_one_offer_wakes_one_waiter_the_first_that_came() -> None:
    ready, parts = ready_set()
    first, second = Waiter([ready], None), Waiter([ready], None)
    ready.offer(parts[0])
    ready.offer(parts[0])
    assert woken(first, second) == [True, None]
    assert ready.parked == 1
    ready.offer(parts[1])
    assert woken(first, second) == [True, True]


@in_virtual_time
async def test_who_wants_that_very_partition_is_woken_before_the_others() -> None:
    ready, parts = ready_set()
    anyone, named, other = Waiter([ready], None), Waiter([ready], 2), Waiter([ready], 3)
    assert ready.parked == 3
    ready.offer(parts[1])
    assert woken(anyone, named, other) == [None, True, None]
    ready.offer(parts[0])
    assert woken(anyone, named, other) == [True, True, None], "a named waiter is woken by its partition alone"
    assert ready.by_partition == {3: {other: None}}


@in_virtual_time
async def test_an_offer_of_a_held_partition_is_nothing_until_it_is_free() -> None:
    ready, parts = ready_set()
    ready.offer(parts[0])
    ready.take(1, 99, None)[0]
    waiter = Waiter([ready], None)
    ready.offer(parts[0])
    assert woken(waiter) == [None]
    ready.free(parts[0], more=True)
    assert woken(waiter) == [True]
    assert list(ready.ready) == [1]


@in_virtual_time
async def test_freed_with_nothing_left_is_neither_ready_nor_held() -> None:
    ready, parts = ready_set()
    ready.offer(parts[0])
    ready.take(1, 99, None)[0]
    ready.free(parts[0], more=False)
    assert (ready.ready, ready.held) == ({}, {})


@in_virtual_time
async def test_a_hold_is_not_believed_after_its_end() -> None:
    ready, parts = ready_set()
    loop = asyncio.get_running_loop()
    ready.hold(1, loop.time() + 5)
    ready.offer(parts[1])
    ready.take(1, 99, None)[0]
    await asyncio.sleep(5)
    assert not ready.is_held(1)
    ready.offer(parts[0])
    assert list(ready.ready) == [1]
    await asyncio.sleep(LOOK_TAKES_AT_MOST_S)
    assert not ready.is_held(2), "a look that was never ended does not hide a partition for good"


@in_virtual_time
async def test_a_hold_takes_the_partition_out_of_the_ready_ones() -> None:
    ready, parts = ready_set()
    ready.offer(parts[0])
    ready.hold(1, FAR)
    assert ready.take(1, 99, None)[0] == []


@in_virtual_time
async def test_nudge_wakes_as_many_as_there_is_work_for() -> None:
    ready, parts = ready_set()
    for part in parts[:2]:
        ready.offer(part)
    waiters = [Waiter([ready], None) for _ in range(3)]
    named = Waiter([ready], 3)
    ready.nudge()
    assert woken(*waiters, named) == [True, True, None, None]


@in_virtual_time
async def test_the_turn_of_a_waiter_that_has_gone_passes_on() -> None:
    ready, parts = ready_set()
    gone, next_one = Waiter([ready], None), Waiter([ready], None)
    ready.offer(parts[0])
    assert woken(gone, next_one) == [True, None]
    ready.nudge()  # `gone` did not take the partition.
    assert woken(next_one) == [True]


@in_virtual_time
async def test_a_waiter_in_several_sets_is_woken_once_and_stands_nowhere_afterwards() -> None:
    one, parts = ready_set()
    two, others = ready_set()
    waiter, behind = Waiter([one, two], None), Waiter([two], None)
    one.offer(parts[0])
    two.offer(others[0])
    assert woken(waiter, behind) == [True, True]
    assert (one.parked, two.parked) == (0, 0)


@in_virtual_time
async def test_closing_lets_everyone_look_and_dismissing_ends_every_wait() -> None:
    for end, told in ((ReadySet.close, True), (ReadySet.dismiss, False)):
        ready, _ = ready_set()
        waiters = [Waiter([ready], None), Waiter([ready], 2), Waiter([ready], None)]
        end(ready)
        assert woken(*waiters) == [told] * 3
        assert ready.parked == 0


@in_virtual_time
async def test_what_was_freed_during_a_read_is_known_until_the_last_read_ends() -> None:
    ready, parts = ready_set()
    ready.free(parts[0], more=False)
    assert ready.changed == set(), "nobody reads"
    ready.begin_read()
    ready.begin_read()
    ready.free(parts[1], more=False)
    ready.end_read()
    assert ready.changed == {2}
    ready.end_read()
    assert ready.changed == set()


@in_virtual_time
async def test_forget_leaves_no_trace_of_a_partition() -> None:
    ready, parts = ready_set()
    ready.offer(parts[0])
    ready.hold(2, FAR)
    ready.epochs[1] = 1
    for number in (1, 2, 3):
        ready.forget(number)
    assert (ready.ready, ready.held, ready.epochs) == ({}, {}, {})


@in_virtual_time
async def test_a_page_of_a_sweep_ends_the_wait_for_it_or_breaks_it_off() -> None:
    ready, _ = ready_set()
    page = ready.page
    ready.turn_page()
    assert page.done()
    page = ready.page
    assert not page.done()
    ready.fail_page(errors.StoreUnavailable("away"))
    with pytest.raises(errors.StoreUnavailable):
        page.result()
    assert not ready.page.done()


@in_virtual_time
async def test_a_stored_message_is_a_hint_for_every_group_of_the_queue() -> None:
    ready, parts = ready_set()
    other = ready.queue.groups["h"] = ReadySet(ready.queue, "h")
    parts[0].stored(7)
    assert (list(ready.ready), list(other.ready), parts[0].head) == ([1], [1], 8)
    parts[0].stored(3)
    assert parts[0].head == 8, "the head never goes back"


# Timers.


@in_virtual_time
async def test_a_deadline_ends_the_wait_within_a_bucket_s_width() -> None:
    loop, timers = asyncio.get_running_loop(), Timers()
    ready, _ = ready_set()
    start = loop.time()
    waiters = {after: Waiter([ready], None) for after in (3.0, 0.5, 0.51, 60.0)}
    for after, waiter in waiters.items():
        timers.add(start + after, waiter)
    for after in sorted(waiters):
        assert await waiters[after].future is False
        assert after <= loop.time() - start <= after + 0.1
    assert ready.parked == 0


@in_virtual_time
async def test_a_removed_deadline_never_rings() -> None:
    loop, timers = asyncio.get_running_loop(), Timers()
    ready, _ = ready_set()
    kept, removed = Waiter([ready], None), Waiter([ready], None)
    timers.add(loop.time() + 1, kept)
    bucket = timers.add(loop.time() + 1, removed)
    timers.remove(bucket, removed)
    timers.remove(bucket, removed)
    await kept.future
    await asyncio.sleep(5)
    assert woken(removed) == [None]


@in_virtual_time
async def test_many_deadlines_need_one_timer() -> None:
    loop, timers = asyncio.get_running_loop(), Timers()
    ready, _ = ready_set()
    waiters = [Waiter([ready], None) for _ in range(1000)]
    for n, waiter in enumerate(waiters):
        timers.add(loop.time() + 1 + n % 7, waiter)
    scheduled = [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    assert len(scheduled) == 1
    await asyncio.gather(*[waiter.future for waiter in waiters])


@in_virtual_time
async def test_a_waiter_that_was_woken_is_not_told_again() -> None:
    loop, timers = asyncio.get_running_loop(), Timers()
    ready, parts = ready_set()
    waiter = Waiter([ready], None)
    timers.add(loop.time() + 1, waiter)
    ready.offer(parts[0])
    await asyncio.sleep(2)
    await settle()
    assert woken(waiter) == [True]
