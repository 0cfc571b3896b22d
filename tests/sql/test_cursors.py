"""subscribe(), open_cursors() and offset_at(): where a group starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.sql.client import Session

_START = datetime(2030, 1, 1, tzinfo=UTC)


def _subscribe(session: Session, mode: str, at: datetime | None = None, group: str = "g") -> object:
    queue_id = session.one("select queue_id from {s}.queues where name = 'q'")
    return session.call("subscribe", ("integer", "text", "text", "timestamptz"), queue_id, group, mode, at)[0]


def _hours_apart(session: Session, p: int) -> None:
    """Message n of a partition was stored n hours after _START."""
    session.rows(
        "update {s}.messages set created_at = %s + \"offset\" * interval '1 hour' where partition_id = %s", _START, p
    )
    session.rows(
        "update {s}.partitions set last_write_at = %s + (next_offset - 1) * interval '1 hour' where partition_id = %s",
        _START,
        p,
    )


def _offset_at(session: Session, p: int, hours: float) -> int:
    return int(session.one("select {s}.offset_at(%s, %s)", p, _START + timedelta(hours=hours)))


def test_a_group_without_a_registration_starts_at_the_oldest(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a", "b"]})
    session.open_cursors([p], "__QUEUE_MODE__")
    cursor = session.cursor(p, "__QUEUE_MODE__")
    assert (cursor.acked, cursor.lease_id, cursor.epoch, cursor.retries, cursor.deliveries) == (-1, None, 1, 0, 0)


def test_an_existing_cursor_stays(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a", "b"]})
    session.open_cursors([p])
    session.pop(p)
    before = session.cursor(p)
    session.open_cursors([p])
    assert session.cursor(p) == before


def test_a_partition_that_is_gone_gets_no_cursor(session: Session) -> None:
    p = session.partition()
    session.open_cursors([p, 999])
    assert session.one("select count(*) from {s}.cursors") == 1


def test_mode_new_skips_what_exists_also_on_partitions_met_later(session: Session) -> None:
    old = session.partition("old")
    session.push({old: ["a", "b"]})
    _subscribe(session, "new")
    session.open_cursors([old])
    assert session.pop(old) == []
    session.push({old: ["c"]})
    assert session.pop(old)[0].transaction_ids == ["c"]
    young = session.partition("young")
    session.push({young: ["d"]})
    session.open_cursors([young])
    assert session.pop(young)[0].transaction_ids == ["d"]


def test_mode_all_starts_at_the_oldest_kept(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a", "b", "c"]})
    session.rows("update {s}.partitions set first_offset = 1")
    _subscribe(session, "all")
    session.open_cursors([p])
    assert session.pop(p)[0].transaction_ids == ["b", "c"]


def test_a_timestamp_starts_at_the_first_message_not_older(session: Session) -> None:
    p = session.partition()
    session.push({p: [f"m{n}" for n in range(10)]})
    _hours_apart(session, p)
    _subscribe(session, "timestamp", _START + timedelta(hours=6.5))
    session.open_cursors([p])
    assert session.pop(p)[0].transaction_ids == ["m7", "m8", "m9"]


def test_the_first_registration_holds(session: Session) -> None:
    session.partition()
    first = _subscribe(session, "new")
    assert (first.created, first.mode) == (True, "new")  # type: ignore[attr-defined]
    second = _subscribe(session, "timestamp", _START)
    assert (second.mode, second.start_at, second.created) == ("new", first.start_at, False)  # type: ignore[attr-defined]
    assert _subscribe(session, "all", group="h").mode == "all"  # type: ignore[attr-defined]


def test_offset_at_finds_each_place(session: Session) -> None:
    p, empty = session.partition("p"), session.partition("empty")
    session.push({p: [f"m{n}" for n in range(100)]})
    _hours_apart(session, p)
    assert [_offset_at(session, p, hours) for hours in (-1, 0, 0.5, 1, 42, 42.1, 99)] == [0, 0, 1, 1, 42, 43, 99]
    assert _offset_at(session, p, 99.1) == 100
    assert _offset_at(session, empty, 5) == 0


def test_offset_at_with_equal_times_gaps_and_a_later_beginning(session: Session) -> None:
    p = session.partition()
    session.push({p: [f"m{n}" for n in range(20)]})
    _hours_apart(session, p)
    session.rows('update {s}.messages set created_at = %s where "offset" between 5 and 9', _START + timedelta(hours=5))
    assert _offset_at(session, p, 5) == 5
    assert _offset_at(session, p, 5.5) == 10
    session.rows('delete from {s}.messages where "offset" between 11 and 14')
    assert _offset_at(session, p, 10.5) in range(11, 16), "any offset in the gap means the same message"
    session.open_cursors([p])
    session.rows("update {s}.cursors set acked = %s", _offset_at(session, p, 10.5) - 1)
    assert session.pop(p)[0].first_offset == 15
    session.rows("update {s}.partitions set first_offset = 8")
    assert _offset_at(session, p, -3) == 8
