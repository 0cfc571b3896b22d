"""extend(): live leases last longer, dead ones stay dead."""

from __future__ import annotations

import uuid

import pytest

from tests.sql.client import Session, Signal


@pytest.fixture
def p(session: Session) -> int:
    number = session.partition()
    session.push({number: ["a", "b"]})
    session.open_cursors([number])
    session.pop(number, lease_ms=60_000)
    return number


def _left_ms(session: Session, partition: int) -> float:
    return float(
        session.one(
            "select extract(epoch from lease_until - now()) * 1000 from {s}.cursors where partition_id = %s", partition
        )
    )


def test_a_live_lease_ends_later(session: Session, p: int) -> None:
    assert session.lease is not None
    rows = session.extend((session.lease, p, 3_600_000))
    assert [row.place for row in rows] == [1]
    assert rows[0].lease_until == session.cursor(p).lease_until
    assert 3_000_000 < _left_ms(session, p) <= 3_600_000


def test_a_shorter_time_does_not_shorten_it(session: Session, p: int) -> None:
    assert session.lease is not None
    before = session.cursor(p).lease_until
    assert session.extend((session.lease, p, 1))[0].lease_until == before


def test_expired_released_and_foreign_leases_are_not_revived(session: Session, p: int) -> None:
    lease = session.lease
    assert lease is not None
    assert session.extend((uuid.uuid4(), p, 60_000)) == []
    assert session.extend((lease, p + 1, 60_000)) == []
    session.expire(p)
    assert session.extend((lease, p, 60_000)) == []
    assert not session.cursor(p).live
    session.pop(p)
    assert session.extend((lease, p, 3_600_000)) == []
    assert _left_ms(session, p) <= 60_000
    session.ack(Signal(p, session.lease, completed=1))
    assert session.lease is not None
    assert session.extend((session.lease, p, 60_000)) == []


def test_a_lease_over_several_partitions_is_extended_on_each_that_is_live(session: Session) -> None:
    ids = session.partitions(3)
    session.push({number: ["a"] for number in ids})
    session.open_cursors(ids)
    session.pop(*ids)
    lease = session.lease
    assert lease is not None
    session.ack(Signal(ids[1], lease, completed=0))
    rows = session.extend((lease, 0, 3_600_000))
    assert [row.place for row in rows] == [1, 1]
    assert _left_ms(session, ids[0]) > 3_000_000
    assert _left_ms(session, ids[2]) > 3_000_000
    assert session.cursor(ids[1]).lease_until is None


def test_many_leases_in_one_call(session: Session) -> None:
    ids = session.partitions(3)
    session.push({number: ["a"] for number in ids})
    session.open_cursors(ids)
    entries = []
    for number in ids:
        session.pop(number)
        assert session.lease is not None
        entries.append((session.lease, number, 3_600_000))
    session.expire(ids[0])
    assert sorted(row.place for row in session.extend(*entries)) == [2, 3]


def test_dead_leases_over_several_partitions_are_forgotten_and_live_ones_kept(session: Session) -> None:
    ids = session.partitions(4)
    session.push({number: ["a"] for number in ids})
    session.open_cursors(ids)
    session.pop(*ids[:2])
    dead = session.lease
    for number in ids[:2]:
        session.ack(Signal(number, dead, completed=0))
    session.pop(*ids[2:])
    assert session.one("select {s}.forget_leases(3600)") == 0
    assert session.one("select {s}.forget_leases(0)") == 1
    assert [row.lease_id for row in session.rows("select * from {s}.leases")] == [session.lease]
