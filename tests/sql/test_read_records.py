"""read_records(), changed_partitions(), safe_time(): reads by offset over epochs, gaps and what retention hides."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from tests.sql.client import Row, Session
from tests.sql.upkeep import close, expire, leave, pass_time

MUCH = 1 << 20


def read(
    session: Session, *reads: tuple[str, int], bytes_max: int = MUCH, total: int = MUCH, queue: str = "q"
) -> list[tuple[Any, Any, list[str]]]:
    """(first, next, transaction ids) of reads of (partition, offset)."""
    rows = session.call(
        "read_records",
        ("text[]", "text[]", "bigint[]", "bigint[]", "bigint"),
        [queue] * len(reads),
        [name for name, _ in reads],
        [offset for _, offset in reads],
        [bytes_max] * len(reads),
        total,
    )
    found = []
    for n in range(1, len(reads) + 1):
        [head] = [row for row in rows if row.n == n and row.offset is None]
        records = [row for row in rows if row.n == n and row.offset is not None]
        assert [row.offset for row in records] == sorted(row.offset for row in records)
        found.append((head.first_offset, head.next_offset, [row.transaction_id for row in records]))
    return found


def names(start: int, end: int) -> list[str]:
    return [f"t{n:03}" for n in range(start, end)]


@pytest.fixture
def p(session: Session) -> int:
    """A partition with ten messages in each of three epochs."""
    number = session.partition()
    session.push({number: names(0, 10)})
    close(session)
    session.push({number: names(10, 20)})
    session.open_epoch(3)
    session.push({number: names(20, 30)})
    return number


def test_reads_cross_epochs(session: Session, p: int) -> None:
    starts = (0, 5, 9, 10, 15, 20, 29)
    found = read(session, *[("p", offset) for offset in starts])
    assert found == [(0, 30, names(offset, 30)) for offset in starts]


def test_the_end_and_what_lies_outside(session: Session, p: int) -> None:
    assert read(session, ("p", 30), ("p", 31), ("p", -1), ("nobody", 0)) == [
        (0, 30, []),
        (0, 30, []),
        (0, 30, []),
        (None, None, []),
    ]
    assert read(session, ("p", 0), queue="none") == [(None, None, [])]


def test_bounds_of_one_read_and_of_all(session: Session, p: int) -> None:
    each = 6 + 4 + 90
    assert read(session, ("p", 8), bytes_max=4 * each) == [(0, 30, names(8, 12))]
    session.push({session.partition("r"): ["r0", "r1"]})
    [one, two] = read(session, ("p", 0), ("r", 0), bytes_max=5 * each, total=6 * each)
    assert (one[2], two[2]) == (names(0, 5), ["r0"])
    [one, two] = read(session, ("p", 0), ("r", 0), total=3 * each)
    assert (one[2], two) == (names(0, 3), (0, 2, []))


def test_one_message_at_least_whatever_the_bounds(session: Session, p: int) -> None:
    assert read(session, ("p", 30), ("p", 7), ("p", 8), bytes_max=1, total=1) == [
        (0, 30, []),
        (0, 30, ["t007"]),
        (0, 30, []),
    ]


def test_gaps_are_skipped(session: Session, p: int) -> None:
    session.rows('delete from {s}.messages where "offset" in (8, 9, 10, 15, 29)')
    kept = [name for n, name in enumerate(names(0, 30)) if n not in (8, 9, 10, 15, 29)]
    assert read(session, ("p", 0), ("p", 8), ("p", 29)) == [(0, 30, kept), (0, 30, kept[8:]), (0, 30, [])]


def test_scheduled_messages_are_not_there_until_they_are_due(session: Session, p: int) -> None:
    session.schedule(p, "later")
    assert read(session, ("p", 28)) == [(0, 30, names(28, 30))]
    session.ripen()
    session.place_due()
    assert read(session, ("p", 28)) == [(0, 31, [*names(28, 30), "later"])]


def test_what_retention_hid_is_told(session: Session, p: int) -> None:
    session.configure("q", retentionEnabled=True, retentionSeconds=100, dedupWindowSeconds=0)
    pass_time(session, 1000)
    session.push({p: names(30, 32)})
    expire(session)
    session.open_epoch(4)
    session.push({p: names(32, 34)})
    close(session)
    assert leave(session) != [1, 2, 3, 4, 5]
    assert read(session, ("p", 0), ("p", 30), ("p", 33)) == [
        (30, 34, []),
        (30, 34, names(30, 34)),
        (30, 34, names(33, 34)),
    ]


def test_nothing_is_written(session: Session, p: int) -> None:
    session.rows("set default_transaction_read_only = on")
    assert len(read(session, ("p", 0))[0][2]) == 30
    assert changed(session, ("q", None))[0] is not None


# Which partitions were written.


def changed(
    session: Session,
    *lists: tuple[str, datetime | None],
    after: tuple[datetime | None, str | None] = (None, None),
    limit: int = 1000,
) -> list[list[str] | None]:
    """Names of partitions per list; None for a queue that is not there."""
    rows = _changed(session, lists, after, limit)
    assert rows[0].n == 0
    return [
        [row.name for row in rows if row.n == n and row.name is not None] if any(row.n == n for row in rows) else None
        for n in range(1, len(lists) + 1)
    ]


def _changed(
    session: Session,
    lists: Sequence[tuple[str, datetime | None]],
    after: tuple[datetime | None, str | None],
    limit: int,
) -> list[Row]:
    count = len(lists)
    return session.call(
        "changed_partitions",
        ("text[]", "timestamptz[]", "timestamptz[]", "text[]", "integer[]"),
        [queue for queue, _ in lists],
        [since for _, since in lists],
        [after[0]] * count,
        [after[1]] * count,
        [limit] * count,
    )


def test_lists_by_name_in_pages(session: Session) -> None:
    for name in ("b", "a", "c"):
        session.partition(name)
    session.partition("z", "other")
    assert changed(session, ("q", None), ("none", None), ("other", None)) == [["a", "b", "c"], None, ["z"]]
    assert changed(session, ("q", None), limit=2) == [["a", "b"]]
    assert changed(session, ("q", None), after=(None, "b")) == [["c"]]


def test_lists_by_time_of_the_last_write(session: Session) -> None:
    ids = {name: session.partition(name) for name in ("never", "c", "b", "a")}
    for name in ("c", "b"):
        session.push({ids[name]: [name]})
    since = session.one("select max(last_write_at) from {s}.partitions")
    session.push({ids["a"]: ["a"]})
    assert changed(session, ("q", since)) == [["b", "a"]], "at the very time counts"
    session.rows("update {s}.partitions set last_write_at = %s where name <> 'never'", since)
    assert changed(session, ("q", since), limit=2) == [["a", "b"]]
    assert changed(session, ("q", since), after=(since, "b")) == [["c"]]


def test_a_page_has_what_a_partition_holds(session: Session, p: int) -> None:
    [_, row, end] = _changed(session, [("q", None)], (None, None), 10)
    assert (row.partition_id, row.first_offset, row.next_offset) == (p, 0, 30)
    assert row.written_at == session.one("select last_write_at from {s}.partitions")
    assert (end.n, end.name) == (1, None)


def _safe(session: Session) -> Row:
    return session.rows("select at, degraded, clock_timestamp() - at as age from {s}.safe_time()")[0]


def test_safe_time_is_a_little_while_ago(session: Session) -> None:
    safe = _safe(session)
    assert 5 <= safe.age.total_seconds() < 60
    assert safe.degraded is False


def test_safe_time_waits_for_a_push_that_is_under_way(session: Session, another: Callable[[], Session]) -> None:
    p = session.partition()
    slow = another()
    with slow.connection.transaction():
        began_at = slow.one("select now()")
        slow.push({p: ["a"]})
        assert (began_at - _safe(session).at).total_seconds() == 5
        assert (began_at - _safe(session).at).total_seconds() == 5, "it does not move on"
    assert (_safe(session).at - began_at).total_seconds() > -5


def test_safe_time_waits_for_nobody_else(session: Session, another: Callable[[], Session]) -> None:
    reader = another()
    with reader.connection.transaction():
        began_at = reader.one("select now()")
        reader.rows("select * from {s}.partitions")
        reader.rows("select {s}.enqueue('q', 'p', '1')")
        session.rows("select pg_sleep(0.01)")
        assert (_safe(session).at - began_at).total_seconds() > -5


def test_safe_time_says_when_it_cannot_see_a_push(session: Session, another: Callable[[], Session]) -> None:
    role = f"queen_test_{uuid.uuid4().hex[:8]}"
    p = session.partition()
    slow = another()
    session.rows(f"create role {role}")
    try:
        session.rows(f"grant usage on schema {{s}} to {role}")
        with slow.connection.transaction():
            slow.push({p: ["a"]})
            session.rows(f"set role {role}")
            assert _safe(session).degraded is True
            session.rows("reset role")
            assert _safe(session).degraded is False
    finally:
        session.rows("reset role")
        session.rows(f"drop owned by {role}")
        session.rows(f"drop role {role}")
