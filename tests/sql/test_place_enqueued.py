"""place_enqueued(): moves are whole or not at all, leave blocked partitions, and find what committed since a look."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.sql.client import Session
from tests.sql.enqueuing import clear, enqueue, enqueue_many, order, place, waiting
from tests.sql.waiting import until


@pytest.fixture
def session(module_dsn: str) -> Iterator[Session]:
    """A session on a database that the tests of this file share."""
    with Session(module_dsn) as opened:
        yield opened
        clear(opened)


@pytest.fixture
def another(module_dsn: str) -> Iterator[Callable[[], Session]]:
    """Opens further sessions there."""
    opened: list[Session] = []

    def open_one() -> Session:
        opened.append(Session(module_dsn))
        return opened[-1]

    yield open_one
    for one in opened:
        one.connection.close()


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


def test_a_look_in_several_calls_walks_over_each_message_once(session: Session, another: Callable[[], Session]) -> None:
    slow = another()
    with slow.connection.transaction():
        enqueue(slow, "slow")
        enqueue_many(session, ["a", "b", "c"])
        enqueue(session, "d", "other")
        first = place(session, limit=2)
        second = place(session, limit=2, after=(first.last_xid, first.last_number))
        assert (first.placed, first.more, second.placed) == (2, True, 2)
        assert order(session) == ["a", "b", "c"]
    # Its number is lower than where the look stood: the next look finds it, by what ran at the first call.
    behind = place(session, limit=2, after=(second.last_xid, second.last_number))
    assert behind.placed == 0
    assert place(session, (first.next_from, first.next_again)).placed == 1


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
        assert slow.one("select pg_current_xact_id()::text::bigint") in moved.next_again
        enqueue(session, "b")
        assert place(session, seen).placed == 1
    moved = place(session, seen)
    assert order(session) == ["a", "b", "slow"]
    assert not set(moved.next_again) & set(seen[1])
    assert place(session, (moved.next_from, moved.next_again)).placed == 0
    enqueue(session, "c")
    assert place(session, (moved.next_from, moved.next_again)).placed == 1


def test_what_was_placed_is_not_walked_over_while_an_old_transaction_is_open(
    session: Session, another: Callable[[], Session]
) -> None:
    slow = another()
    with slow.connection.transaction():
        enqueue(slow, "slow")
        session.rows(
            "insert into {s}.enqueued (xid, number, queue, partition, transaction_id, payload)"
            " select pg_current_xact_id()::text::bigint, n, 'q', 'p', n::text, '1' from generate_series(1, 20000) n"
        )
        session.rows("delete from {s}.enqueued")
        done = place(session)
        everything, since = _pages(session, 0, []), _pages(session, done.next_from, done.next_again)
        assert everything > since + 50, f"{everything} pages at all, {since} since the last look"


def _pages(session: Session, before: int, running: list[int]) -> int:
    """Pages that a look touches which finds nothing."""
    statement = (
        "explain (analyze, buffers, format json)"
        " select * from {s}.place_enqueued(1000, 1000000, %s, %s::bigint[], 0, 0, '{{}}', '{{}}')"
    )
    plan = session.rows(statement, before, running)[0][0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


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
