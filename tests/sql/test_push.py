"""push(): many partitions in one call, in order, all or nothing, waiting for nobody."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import psycopg
import pytest

from tests.sql.client import Session


def test_offsets_start_at_zero_and_follow_without_a_gap(session: Session) -> None:
    p = session.partition()
    assert session.push({p: ["a", "b"]}) == [0]
    assert session.push({p: ["c"]}) == [2]
    assert session.stored(p) == [(0, "a"), (1, "b"), (2, "c")]
    assert session.one("select next_offset from {s}.partitions where partition_id = %s", p) == 3


def test_many_partitions_of_several_queues_in_one_call(session: Session) -> None:
    ids = sorted(session.partitions(3, "one") + session.partitions(2, "two"))
    session.push({ids[1]: ["before"]})
    bases = session.push({number: [f"{number}-{n}" for n in range(number % 3 + 1)] for number in ids})
    assert bases == [1 if number == ids[1] else 0 for number in ids]
    for number in ids:
        assert [t for _, t in session.stored(number)][-1] == f"{number}-{number % 3}"
    queues = session.rows("select queue_id, partition_id from {s}.messages order by 2")
    home = dict(session.rows("select partition_id, queue_id from {s}.partitions"))
    assert {row.partition_id: row.queue_id for row in queues} == home


def test_a_thousand_messages_over_a_hundred_partitions_keep_their_order(session: Session) -> None:
    ids = session.partitions(100)
    assert session.push({number: [f"{number}-{n:02}" for n in range(10)] for number in ids}) == [0] * 100
    for number in ids:
        assert session.stored(number) == [(n, f"{number}-{n:02}") for n in range(10)]


def test_everything_of_a_message_is_kept(session: Session) -> None:
    p = session.partition()
    trace = uuid.uuid4()
    payload = '{ "b":1,\t"a":1.50e+400, "b": "\\u0041\U0001f41d" }'
    session.push({p: ["x", "y"]}, payloads=[payload, "null"], trace_ids=[trace, None], subs=[None, "me"])
    rows = session.rows('select payload, trace_id, producer_sub, status::text from {s}.messages order by "offset"')
    assert [tuple(row) for row in rows] == [(payload, trace, None, "pending"), ("null", None, "me", "pending")]


def test_a_stored_transaction_id_is_refused_and_nothing_of_the_call_is_kept(session: Session) -> None:
    first, second = session.partitions(2)
    session.push({second: ["twice"]})
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.push({first: ["new"], second: ["also new", "twice"]})
    assert session.stored(first) == []
    assert session.stored(second) == [(0, "twice")]
    assert session.push({first: ["new"], second: ["also new"]}) == [0, 1]


def test_equal_ids_within_one_call_are_refused(session: Session) -> None:
    p = session.partition()
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.push({p: ["a", "a"]})
    assert session.stored(p) == []


def test_the_same_id_in_another_partition_or_queue_is_another_message(session: Session) -> None:
    ids = sorted([*session.partitions(2, "one"), *session.partitions(1, "two")])
    assert session.push({number: ["same"] for number in ids}) == [0, 0, 0]


def test_without_deduplication_equal_ids_are_stored(session: Session) -> None:
    session.configure("free", dedupWindowSeconds=0)
    free, exact = session.partition(queue="free"), session.partition(queue="exact")
    assert session.push({free: ["a", "a"], exact: ["a"]}) == [0, 0]
    assert session.push({free: ["a"]}) == [2]
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.push({exact: ["a"]})


@pytest.mark.spec("R9")
def test_a_locked_partition_is_left_out_and_delays_no_other(session: Session, another: Callable[[], Session]) -> None:
    first, second = session.partitions(2)
    other = another()
    with other.connection.transaction():
        other.push({first: ["held"]})
        # A call that waited would end by this and fail the test.
        session.rows("set statement_timeout = '60s'")
        assert session.push({first: ["skipped"], second: ["through"]}) == [-1, 0]
    assert session.stored(first) == [(0, "held")]
    assert session.stored(second) == [(0, "through")]


def test_a_partition_that_is_gone_is_left_out(session: Session) -> None:
    gone = session.partition(queue="gone")
    kept = session.partition(queue="kept")
    assert session.one("select {s}.delete_queue('gone')")
    assert session.push({gone: ["lost"], kept: ["kept"]}) == [-1, 0]
    assert session.stored(gone) == []


def test_created_at_never_decreases_along_the_offsets(session: Session) -> None:
    p, q = session.partitions(2)
    session.push({p: ["a"]})
    # As after a clock that was set back.
    ahead = session.one(
        "update {s}.partitions set last_write_at = now() + interval '1 hour' where partition_id = %s"
        " returning last_write_at",
        p,
    )
    session.push({p: ["b", "c"], q: ["d"]})
    session.push({p: ["e"]})
    times = [row[0] for row in session.rows('select created_at from {s}.messages where partition_id = %s'
                                            ' order by "offset"', p)]  # fmt: skip
    assert times == sorted(times)
    assert times[1:] == [ahead] * 3
    assert session.one("select last_write_at from {s}.partitions where partition_id = %s", p) == ahead


def test_commit_order_is_offset_order(session: Session, another: Callable[[], Session]) -> None:
    p = session.partition()
    early, late = another(), another()
    with early.connection.transaction():
        assert early.push({p: ["first"]}) == [0]
        # The one that comes later gets no offset before the first has committed.
        assert late.push({p: ["second"]}) == [-1]
        assert session.stored(p) == []
    assert late.push({p: ["second"]}) == [1]
    assert session.stored(p) == [(0, "first"), (1, "second")]


def test_a_rolled_back_push_leaves_no_gap(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a"]})
    with session.connection.transaction(force_rollback=True):
        assert session.push({p: ["lost"]}) == [1]
    assert session.push({p: ["b"]}) == [1]
    assert session.stored(p) == [(0, "a"), (1, "b")]


def test_the_rows_of_one_push_are_of_one_transaction(session: Session) -> None:
    ids = session.partitions(20)
    session.push({number: [f"{n}" for n in range(50)] for number in ids})
    stamps = session.rows("select distinct xmin::text from {s}.messages"
                          " union select distinct xmin::text from {s}.partitions")  # fmt: skip
    assert len(stamps) == 1


def test_an_empty_push_does_nothing(session: Session) -> None:
    assert session.call("push", ("bigint[]", "integer[]", "integer[]", "text[]", "text[]", "uuid[]", "text[]"),
                        [], [], [], [], [], None, None)[0][0] in (None, [])  # fmt: skip
    assert session.one("select count(*) from {s}.messages") == 0


def test_a_transaction_id_may_have_255_characters_of_four_bytes(session: Session) -> None:
    p = session.partition()
    bee = "\U0001f41d"
    assert session.push({p: [bee * 255]}) == [0]
    assert session.stored(p) == [(0, bee * 255)]
