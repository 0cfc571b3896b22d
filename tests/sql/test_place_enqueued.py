"""place_enqueued(): moves are whole or not at all, leave blocked partitions, and find what committed since the last look."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.sql.client import Session
from tests.sql.enqueuing import enqueue, enqueue_many, order, place, waiting
from tests.sql.waiting import until


def test_a_blocked_partition_is_left_and_named_and_keeps_its_order(
    session: Session, another: Callable[[], Session]
) -> None:
    p = session.partition()
    enqueue_many(session, ["a", "b"])
    enqueue(session, "other", "free")
    blocker = another()
    with blocker.connection.transaction():
        blocker.rows("select 1 from {s}.partitions where partition_id = %s for no key update", p)
        moved = place(session)
        assert (moved.placed, moved.blocked_queues, moved.blocked_partitions) == (1, ["q"], ["p"])
        enqueue(session, "c")
        skipping = place(session, skip=[("q", "p")])
        assert (skipping.placed, skipping.blocked_queues, skipping.more) == (0, [], False)
    assert place(session).heads == [3]
    assert order(session) == ["a", "b", "c"]


def test_blocked_duplicates_are_left_too(session: Session, another: Callable[[], Session]) -> None:
    p = session.partition()
    session.push({p: ["a"]})
    free = session.partition("free")
    session.push({free: ["a"]})
    enqueue(session, "a")
    enqueue(session, "a", "free")
    blocker = another()
    with blocker.connection.transaction():
        blocker.rows("select 1 from {s}.partitions where partition_id = %s for no key update", p)
        moved = place(session)
        assert (moved.placed, moved.duplicates, moved.blocked_partitions) == (0, 1, ["p"])
    assert place(session).duplicates == 1
    assert waiting(session) == 0


def test_bounds_cut_a_move(session: Session) -> None:
    enqueue_many(session, ["a", "b", "c"])
    assert (place(session, limit=1).more, order(session)) == (True, ["a"])
    assert (place(session, bytes_max=1).more, order(session)) == (True, ["a", "b"])
    assert (place(session, bytes_max=1).more, order(session)) == (False, ["a", "b", "c"])


def test_one_at_a_time(session: Session, another: Callable[[], Session]) -> None:
    enqueue(session, "a")
    mover = another()
    with mover.connection.transaction():
        assert place(mover).placed == 1
        assert place(session).placed is None
    assert place(session).placed == 0


def test_a_move_that_is_cut_off_changes_nothing(session: Session, another: Callable[[], Session]) -> None:
    enqueue_many(session, ["a", "b"])
    doomed = another()
    doomed.connection.execute("begin")
    assert place(doomed).placed == 2
    doomed.connection.close()
    until(lambda: place(session).placed == 2, "the lost session gives its locks back")
    assert order(session) == ["a", "b"]


def test_a_look_goes_on_where_the_last_one_ended(session: Session, another: Callable[[], Session]) -> None:
    slow = another()
    with slow.connection.transaction():
        enqueue(slow, "slow")
        enqueue(session, "a")
        moved = place(session)
        seen = (moved.next_from, moved.next_again)
        assert moved.placed == 1
        assert len(moved.next_again) == 1
        enqueue(session, "b")
        assert place(session, seen).placed == 1
    moved = place(session, seen)
    assert order(session) == ["a", "b", "slow"]
    assert moved.next_again == []
    assert place(session, (moved.next_from, moved.next_again)).placed == 0
    enqueue(session, "c")
    assert place(session, (moved.next_from, moved.next_again)).placed == 1


def test_what_was_placed_is_not_walked_over_while_an_old_transaction_is_open(
    session: Session, another: Callable[[], Session]
) -> None:
    slow = another()
    with slow.connection.transaction():
        enqueue(slow, "slow")
        enqueue_many(session, [str(n) for n in range(2000)])
        moved = place(session, limit=2000, bytes_max=1 << 30)
        seen = (moved.next_from, moved.next_again)
        assert (moved.placed, moved.more) == (2000, True)
        seen = (lambda row: (row.next_from, row.next_again))(place(session))
        session.rows("vacuum {s}.enqueued")
        before = session.one("select pg_relation_size('queen.enqueued') / 8192")
        assert before > 10, "they are still in the way"
        plan = session.rows(
            "explain (analyze, buffers, format json) select 1 from {s}.enqueued where xid >= %s order by xid, number",
            seen[0],
        )[0][0][0]["Plan"]
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 8


def test_callers_at_once_lose_and_double_nothing(session: Session, another: Callable[[], Session]) -> None:
    done = threading.Event()

    def call(own: Session, who: int) -> None:
        for n in range(25):
            with own.connection.transaction():
                enqueue_many(own, [f"{who}-{n:02}-{k}" for k in range(3)], partition=f"p{n % 2}")
                enqueue(own, f"{who}-{n:02}-9", partition=f"p{n % 2}")

    def move(own: Session) -> None:
        while not done.is_set():
            place(own, limit=5)

    callers = [threading.Thread(target=call, args=(another(), who)) for who in range(3)]
    movers = [threading.Thread(target=move, args=(another(),)) for _ in range(2)]
    for thread in callers + movers:
        thread.start()
    for thread in callers:
        thread.join()
    try:
        until(lambda: waiting(session) == 0, "all are placed")
    finally:
        done.set()
        for thread in movers:
            thread.join()
    found = order(session, "p0") + order(session, "p1")
    assert len(found) == len(set(found)) == 3 * 25 * 4
    for n in range(2):
        for who in range(3):
            own = [name for name in order(session, f"p{n}") if name.startswith(f"{who}-")]
            assert own == sorted(own)
