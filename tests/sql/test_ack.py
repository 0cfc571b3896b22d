"""ack(): completed and retry, fencing, and the end of a lease."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.sql.client import Session, Signal


@pytest.fixture
def p(session: Session) -> int:
    """A partition with messages m0 … m9, of which group g has leased m0 … m4."""
    number = session.partition()
    session.push({number: [f"m{n}" for n in range(10)]})
    session.open_cursors([number])
    session.pop(number, batch=5)
    return number


def test_completed_moves_the_cursor_and_the_lease_stays_for_the_rest(session: Session, p: int) -> None:
    rows = session.ack(Signal(p, session.lease, completed=2))
    assert [tuple(row) for row in rows] == [(1, -1, 2, False)]
    cursor = session.cursor(p)
    assert (cursor.acked, cursor.live, cursor.deliveries) == (2, True, 1)
    assert session.pop(p) == []


def test_the_end_of_the_span_releases_the_lease_and_clears_the_counters(session: Session, p: int) -> None:
    session.rows("update {s}.cursors set retries = 2")
    assert [tuple(row) for row in session.ack(Signal(p, session.lease, completed=4))] == [(1, -1, 4, True)]
    cursor = session.cursor(p)
    assert (cursor.lease_id, cursor.lease_until, cursor.deliveries, cursor.retries) == (None, None, 0, 0)
    assert session.pop(p)[0].first_offset == 5


def test_a_repeated_ack_under_a_live_lease_changes_nothing(session: Session, p: int) -> None:
    session.ack(Signal(p, session.lease, completed=2))
    assert [tuple(row) for row in session.ack(Signal(p, session.lease, completed=1))] == [(1, 2, 2, False)]
    assert session.cursor(p).acked == 2


@pytest.mark.parametrize("signal", ["completed", "retried"])
def test_a_stale_lease_is_refused_and_changes_nothing(session: Session, p: int, signal: str) -> None:
    said: dict[str, Any] = {signal: 1}
    stale = session.lease
    session.expire(p)
    assert session.ack(Signal(p, stale, **said)) == []
    session.pop(p, batch=5)
    before = session.cursor(p)
    assert session.ack(Signal(p, stale, **said)) == []
    assert session.ack(Signal(p, uuid.uuid4(), **said)) == []
    assert session.cursor(p) == before


def test_a_lease_of_another_group_or_partition_is_refused(session: Session, p: int) -> None:
    session.open_cursors([p], "h")
    q = session.partition("p2")
    session.push({q: ["x"]})
    session.open_cursors([q])
    lease = session.lease
    assert session.ack(Signal(p, lease, group="h", completed=1)) == []
    assert session.ack(Signal(q, lease, completed=0)) == []
    assert session.cursor(q).acked == -1


def test_without_a_lease_id_there_is_no_check(session: Session, p: int) -> None:
    session.expire(p)
    assert session.ack(Signal(p, None, completed=3))[0].acked == 3
    assert session.pop(p)[0].first_offset == 4


def test_without_a_cursor_nothing_happens(session: Session, p: int) -> None:
    assert session.ack(Signal(p, None, group="nobody", completed=1)) == []
    assert session.ack(Signal(p + 1000, None, completed=1)) == []
    assert session.one("select count(*) from {s}.cursors") == 1


def test_retry_gives_back_from_there_and_charges_nothing(session: Session, p: int) -> None:
    assert [tuple(row) for row in session.ack(Signal(p, session.lease, retried=2))] == [(1, -1, -1, True)]
    again = session.pop(p, batch=5)[0]
    assert (again.first_offset, again.attempt) == (0, 2)
    assert session.cursor(p).retries == 0


def test_retry_below_a_completed_one_ends_the_cursor_just_before_it(session: Session, p: int) -> None:
    assert session.ack(Signal(p, session.lease, completed=3, retried=2))[0].acked == 1
    assert session.pop(p)[0].first_offset == 2


def test_retry_above_the_completed_ones_keeps_them(session: Session, p: int) -> None:
    assert session.ack(Signal(p, session.lease, completed=0, retried=3))[0].acked == 0
    assert session.pop(p)[0].first_offset == 1


def test_retry_at_the_first_message_with_all_others_completed(session: Session, p: int) -> None:
    assert [tuple(row) for row in session.ack(Signal(p, session.lease, completed=4, retried=0))] == [(1, -1, -1, True)]


def test_a_retry_behind_the_cursor_changes_nothing(session: Session, p: int) -> None:
    session.ack(Signal(p, session.lease, completed=2))
    before = session.cursor(p)
    assert session.ack(Signal(p, session.lease, retried=2)) == []
    assert session.ack(Signal(p, session.lease, completed=3, retried=1)) == []
    assert session.cursor(p) == before


def test_an_ack_never_moves_the_cursor_back(session: Session, p: int) -> None:
    session.ack(Signal(p, session.lease, completed=4))
    session.ack(Signal(p, None, completed=1))
    assert session.cursor(p).acked == 4


def test_many_cursors_in_one_call(session: Session) -> None:
    ids = session.partitions(50)
    session.push({number: ["a", "b"] for number in ids})
    for group in ("g", "h"):
        session.open_cursors(ids, group)
    signals = []
    for number in ids:
        for group in ("g", "h"):
            session.pop(number, group=group)
            signals.append(Signal(number, session.lease, group=group, completed=1 if group == "g" else 0))
    stale = 7
    signals[stale] = Signal(signals[stale].partition, uuid.uuid4(), group=signals[stale].group, completed=1)
    rows = sorted(session.ack(*signals))
    assert [row.place for row in rows] == [place for place in range(1, 101) if place != stale + 1]
    assert all(row.released == (row.place % 2 == 1) for row in rows)
    assert session.one("select count(*) from {s}.cursors where acked = 1 and lease_id is null") == 50


def test_a_retry_leaves_the_retry_counter_as_it_is(session: Session) -> None:
    number = session.partition()
    session.push({number: ["a", "b"]})
    session.open_cursors([number])
    session.ack_failed(Signal(number, None, failed=0))
    session.ack(Signal(number, None, retried=0))
    assert session.cursor(number).retries == 1
    session.ack_failed(Signal(number, None, retried=0, failed=1))
    assert session.cursor(number).retries == 1
