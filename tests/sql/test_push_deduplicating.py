"""push_deduplicating(): the thorough push. It waits, finds duplicates, and tells each message's place."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.sql.client import Session
from tests.sql.waiting import until_blocked


def test_fresh_messages_are_stored_like_by_push(session: Session) -> None:
    first, second = session.partitions(2)
    assert session.push_deduplicating({first: ["a", "b"], second: ["c"]}) == [(0, False), (1, False), (0, False)]
    assert session.stored(first) == [(0, "a"), (1, "b")]
    assert session.push({first: ["d"], second: ["e"]}) == [2, 1]


def test_a_duplicate_gets_the_offset_of_the_first_one(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a", "b"]})
    assert session.push_deduplicating({p: ["b", "c", "a", "d"]}) == [(1, True), (2, False), (0, True), (3, False)]
    assert session.stored(p) == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]


def test_within_one_call_the_first_wins(session: Session) -> None:
    first, second = session.partitions(2)
    answer = session.push_deduplicating({first: ["x", "y", "x"], second: ["x", "x"]})
    assert answer == [(0, False), (1, False), (0, True), (0, False), (0, True)]
    payloads = session.rows('select payload from {s}.messages where partition_id = %s order by "offset"', first)
    assert [row.payload for row in payloads] == ['"x"', '"y"']


def test_the_first_payload_is_the_one_that_is_kept(session: Session) -> None:
    p = session.partition()
    session.push_deduplicating({p: ["x", "x"]}, payloads=["1", "2"])
    session.push_deduplicating({p: ["x"]}, payloads=["3"])
    assert [row.payload for row in session.rows("select payload from {s}.messages")] == ["1"]


def test_a_call_of_nothing_but_duplicates_writes_nothing(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a"]})
    before = session.rows("select *, xmin::text from {s}.partitions")
    assert session.push_deduplicating({p: ["a", "a"]}) == [(0, True), (0, True)]
    assert session.rows("select *, xmin::text from {s}.partitions") == before
    assert session.stored(p) == [(0, "a")]


def test_without_deduplication_everything_is_stored(session: Session) -> None:
    session.configure("free", dedupWindowSeconds=0)
    p = session.partition(queue="free")
    session.push({p: ["a"]})
    assert session.push_deduplicating({p: ["a", "a"]}) == [(1, False), (2, False)]


def test_deduplication_that_was_off_for_a_while_does_not_see_what_came_then(session: Session) -> None:
    p = session.partition()
    session.push({p: ["early"]})
    session.configure("q", dedupWindowSeconds=0)
    session.push({p: ["early", "meanwhile"]})
    session.configure("q", dedupWindowSeconds=60)
    assert session.push_deduplicating({p: ["early", "meanwhile"]}) == [(0, True), (3, False)]


def test_a_partition_that_is_gone_gives_null(session: Session) -> None:
    gone, kept = session.partition(queue="gone"), session.partition(queue="kept")
    assert session.one("select {s}.delete_queue('gone')")
    assert session.push_deduplicating({gone: ["a", "b"], kept: ["c"]}) == [(None, False), (None, False), (0, False)]
    assert session.stored(gone) == []


def test_it_waits_for_a_lock_and_then_sees_what_was_stored_under_it(
    session: Session, another: Callable[[], Session]
) -> None:
    p = session.partition()
    holder, waiter = another(), another()
    answers: list[list[tuple[int | None, bool]]] = []
    thread = threading.Thread(target=lambda: answers.append(waiter.push_deduplicating({p: ["same", "own"]})))
    with holder.connection.transaction():
        holder.push({p: ["same"]})
        thread.start()
        until_blocked(session, waiter)
        assert answers == []
    thread.join(60)
    assert answers == [[(0, True), (1, False)]]
    assert session.stored(p) == [(0, "same"), (1, "own")]


def test_created_at_never_decreases(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a"]})
    session.rows("update {s}.partitions set last_write_at = now() + interval '1 hour'")
    session.push_deduplicating({p: ["b"]})
    times = [row.created_at for row in session.rows('select created_at from {s}.messages order by "offset"')]
    assert times == sorted(times)
    assert times[1] == session.one("select last_write_at from {s}.partitions")


def test_more_than_one_operation_in_one_transaction_is_all_or_nothing(session: Session) -> None:
    p = session.partition()
    with session.connection.transaction(force_rollback=True):
        for part in range(3):
            session.push_deduplicating({p: [f"{part}-{n}" for n in range(10)]})
    assert session.stored(p) == []
    with session.connection.transaction():
        assert session.push_deduplicating({p: ["a", "b"]}) == [(0, False), (1, False)]
        assert session.push_deduplicating({p: ["b", "c"]}) == [(1, True), (2, False)]
    assert session.stored(p) == [(0, "a"), (1, "b"), (2, "c")]


def test_without_waiting_a_locked_partition_is_left_out(session: Session, another: Callable[[], Session]) -> None:
    first, second = session.partitions(2)
    session.push({first: ["a"], second: ["b"]})
    holder = another()
    with holder.connection.transaction():
        holder.rows("select from {s}.partitions where partition_id = %s for update", first)
        answer = session.push_deduplicating({first: ["a", "c"], second: ["b", "d"]}, wait=False)
        assert answer == [(None, False), (None, False), (0, True), (1, False)]
    assert session.push_deduplicating({first: ["a", "c"]}, wait=False) == [(0, True), (1, False)]
    assert session.stored(first) == [(0, "a"), (1, "c")]
