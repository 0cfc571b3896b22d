"""pop_<epoch>(): leases, order, limits, and what it leaves alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.sql.client import Session, Signal


@pytest.fixture
def p(session: Session) -> int:
    """A partition with messages m0 … m4 and a cursor of group g."""
    number = session.partition()
    session.push({number: [f"m{n}" for n in range(5)]})
    session.open_cursors([number])
    return number


def test_it_hands_out_the_messages_in_order_under_a_lease(session: Session, p: int) -> None:
    rows = session.pop(p, batch=3)
    assert len(rows) == 1
    row = rows[0]
    assert (row.place, row.first_offset, row.offsets, row.attempt, row.head) == (1, 0, None, 1, 5)
    assert (row.transaction_ids, row.payloads) == (["m0", "m1", "m2"], ['"m0"', '"m1"', '"m2"'])
    assert len(row.created_ats) == 3
    assert row.extras is None
    cursor = session.cursor(p)
    assert (cursor.lease_id, cursor.lease_end, cursor.acked, cursor.live) == (session.lease, 2, -1, True)
    left = session.one("select lease_until - now() from {s}.cursors")
    assert timedelta(0) < left <= timedelta(minutes=1)


def test_a_leased_partition_gives_nothing_to_the_same_group(session: Session, p: int) -> None:
    session.pop(p, batch=1)
    lease = session.lease
    assert session.pop(p) == []
    assert session.cursor(p).lease_id == lease


def test_groups_do_not_see_each_other(session: Session, p: int) -> None:
    session.open_cursors([p], "other")
    session.pop(p)
    assert session.pop(p, group="other")[0].transaction_ids == ["m0", "m1", "m2", "m3", "m4"]


def test_an_expired_lease_is_delivered_again_with_a_higher_attempt_and_another_id(session: Session, p: int) -> None:
    session.pop(p, batch=2)
    first = session.lease
    session.expire(p)
    again = session.pop(p, batch=5)[0]
    assert (again.attempt, again.first_offset, len(again.payloads)) == (2, 0, 5)
    assert session.cursor(p).lease_id not in (None, first)
    assert session.cursor(p).retries == 0


def test_a_lease_of_no_time_is_over_at_once(session: Session, p: int) -> None:
    assert session.pop(p, lease_ms=0)[0].attempt == 1
    assert session.pop(p)[0].attempt == 2


def test_it_goes_on_after_what_was_acked(session: Session, p: int) -> None:
    session.pop(p, batch=3)
    session.ack(Signal(p, session.lease, completed=2))
    row = session.pop(p)[0]
    assert (row.first_offset, row.transaction_ids, row.attempt) == (3, ["m3", "m4"], 1)


def test_at_delivery_acked_messages_need_no_lease(session: Session, p: int) -> None:
    row = session.pop(p, batch=2, auto=True)[0]
    assert (row.transaction_ids, row.attempt) == (["m0", "m1"], 1)
    cursor = session.cursor(p)
    assert (cursor.acked, cursor.lease_id, cursor.lease_until, cursor.deliveries) == (1, None, None, 0)
    assert session.pop(p, auto=True)[0].transaction_ids == ["m2", "m3", "m4"]
    assert session.pop(p, auto=True) == []


def test_at_delivery_acked_messages_start_a_fresh_retry_budget(session: Session, p: int) -> None:
    session.pop(p)
    session.ack_failed(Signal(p, session.lease, failed=0))
    assert session.cursor(p).retries == 1
    session.pop(p, batch=1, auto=True)
    assert (session.cursor(p).retries, session.cursor(p).acked) == (0, 0)


def test_what_it_gives_nothing_for(session: Session, p: int) -> None:
    empty = session.partition("empty")
    session.open_cursors([empty])
    untouched = session.partition("untouched")
    session.push({untouched: ["x"]})
    assert session.pop(empty) == []
    assert session.pop(untouched) == [], "the group has no cursor there yet"
    assert session.pop(p + 1000) == [], "there is no such partition"
    assert session.pop(p, group="stranger") == []
    assert session.pop(p, epoch=1, batch=0) == []
    assert not session.cursor(p).live


def test_a_retry_delay_holds_the_partition_back(session: Session, p: int) -> None:
    session.configure("q", retryDelay=60_000)
    session.pop(p)
    session.ack_failed(Signal(p, session.lease, failed=0))
    assert session.pop(p) == []
    session.expire(p)
    assert session.pop(p)[0].attempt == 2


def test_a_cursor_locked_elsewhere_is_skipped_and_the_others_are_served(
    session: Session, another: Callable[[], Session], p: int
) -> None:
    q = session.partition("p2")
    session.push({q: ["x"]})
    session.open_cursors([q])
    other = another()
    session.rows("set statement_timeout = '60s'")
    with other.connection.transaction():
        other.pop(p)
        rows = session.pop(p, q)
    assert [(row.place, row.transaction_ids) for row in rows] == [(2, ["x"])]


def test_one_request_over_several_partitions_shares_its_limit_and_its_lease(session: Session) -> None:
    ids = session.partitions(4)
    session.push({number: [f"{number}-{n}" for n in range(3)] for number in ids})
    session.open_cursors(ids)
    rows = session.pop(*ids, batch=7)
    assert [(row.place, len(row.payloads)) for row in rows] == [(1, 3), (2, 3), (3, 1)]
    lease = session.rows("select * from {s}.leases")
    assert [(row.lease_id, row.partition_ids) for row in lease] == [(session.lease, ids)]
    assert [session.cursor(number).lease_id for number in ids] == [session.lease] * 3 + [None]


def test_many_requests_in_one_call_keep_to_themselves(session: Session) -> None:
    ids = session.partitions(4)
    session.push({number: [f"{number}-{n}" for n in range(3)] for number in ids})
    session.open_cursors(ids)
    one, two = uuid.uuid4(), uuid.uuid4()
    rows = session.pop_many(
        (ids[0], "g", 1, 2, one), (ids[1], "g", 2, 4, two), (ids[2], "g", 2, 4, two), (ids[3], "g", 3, 9, None)
    )
    assert [(row.place, len(row.payloads)) for row in rows] == [(1, 2), (2, 3), (3, 1), (4, 3)]
    assert [session.cursor(number).lease_id for number in ids] == [one, two, two, None]
    assert session.cursor(ids[3]).acked == 2
    assert [row.lease_id for row in session.rows("select * from {s}.leases")] == [two]


def test_extras_name_the_messages_that_have_them(session: Session) -> None:
    number = session.partition()
    trace = uuid.uuid4()
    session.push({number: ["a", "b", "c"]}, trace_ids=[None, trace, None], subs=[None, None, "me"])
    session.open_cursors([number])
    row = session.pop(number)[0]
    assert session.one("select %s::jsonb", row.extras) == [[1, str(trace), None, None], [2, None, "me", None]]


def test_gaps_in_the_offsets_are_told(session: Session, p: int) -> None:
    session.rows('delete from {s}.messages where "offset" in (1, 4)')
    row = session.pop(p)[0]
    assert (row.first_offset, row.offsets, row.transaction_ids) == (0, [0, 2, 3], ["m0", "m2", "m3"])
    assert session.cursor(p).lease_end == 3


def test_order_holds_after_vacuum_analyze(session: Session) -> None:
    ids = session.partitions(20)
    for turn in range(10):
        session.push({number: [f"{turn}-{n}" for n in range(20)] for number in ids})
    # Holes in the pages, filled by later rows: the heap is then in another order than the offsets.
    session.rows('delete from {s}.messages where "offset" between 40 and 119')
    session.rows("vacuum analyze {s}.messages")
    for turn in range(10, 14):
        session.push({number: [f"{turn}-{n}" for n in range(20)] for number in ids})
    session.rows("vacuum analyze {s}.messages, {s}.partitions, {s}.cursors")
    session.open_cursors(ids)
    expected = [f"{turn}-{n}" for turn in (0, 1, *range(6, 14)) for n in range(20)]
    rows = session.pop(*ids, batch=10_000)
    assert [row.transaction_ids for row in rows] == [expected] * 20
    assert [row.place for row in rows] == list(range(1, 21))


def test_ten_thousand_messages_come_in_order(session: Session, p: int) -> None:
    for turn in range(10):
        session.push({p: [f"{turn}-{n}" for n in range(1000)]})
    row = session.pop(p, batch=20_000)[0]
    assert row.transaction_ids == [f"m{n}" for n in range(5)] + [f"{t}-{n}" for t in range(10) for n in range(1000)]
