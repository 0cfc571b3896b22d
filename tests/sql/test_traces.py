"""Traces: stored under names, counted while they are stored, and gone by age with their share of the counts."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from tests.sql.client import Row, Session
from tests.sql.waiting import until_blocked

_RECORD = ("bigint", "text", "text", "text", "text", "text[]")


def record(session: Session, message: str, *names: str, partition: int = 1) -> uuid.UUID:
    """One trace of a message."""
    found: uuid.UUID = session.call("record_trace", _RECORD, partition, message, "g", "info", "{}", list(names))[0][0]
    return found


def counts(session: Session) -> dict[str, tuple[int, int]]:
    """(traces, messages) by name."""
    return {row.name: (row.traces, row.messages) for row in page(session)}


def page(session: Session, limit: int = 50, offset: int = 0) -> list[Row]:
    rows = session.call("find_trace_names", ("integer", "integer"), limit, offset)
    return [row for row in rows if row.name is not None]


def grow_old(session: Session, *ids: uuid.UUID) -> None:
    """These traces were recorded in 1970."""
    for number in ids:
        old = uuid.UUID(int=number.int & ((1 << 80) - 1))
        for table in ("traces", "trace_links"):
            session.rows(f"update {{s}}.{table} set trace_id = %s where trace_id = %s", old, number)


def forget(session: Session, limit: int = 100) -> int:
    return int(session.one("select {s}.forget_traces(60000, %s)", limit))


def test_ids_are_of_version_7_and_follow_time(session: Session) -> None:
    one, two = (uuid.UUID(str(session.one("select {s}.new_trace_id(%s)", f"2026-01-0{day}"))) for day in (1, 2))
    assert (one.version, one.variant) == (7, uuid.RFC_4122)
    assert one < two
    assert one.int >> 80 == 1_767_225_600_000


def test_a_name_counts_its_traces_and_its_messages(session: Session) -> None:
    record(session, "a", "x", "y")
    record(session, "a", "x")
    record(session, "b", "x")
    record(session, "a", "x", partition=2)
    record(session, "a")
    assert counts(session) == {"x": (4, 3), "y": (1, 1)}


def test_names_are_paged_in_their_order_with_a_total(session: Session) -> None:
    for name in ("b", "a", "c"):
        record(session, "m", name)
    rows = session.call("find_trace_names", ("integer", "integer"), 2, 1)
    assert [row.name for row in rows] == ["b", "c"]
    assert {row.total for row in rows} == {3}
    beyond = session.call("find_trace_names", ("integer", "integer"), 2, 9)
    assert [(row.name, row.total) for row in beyond] == [(None, 3)]


def test_traces_of_a_message_and_of_a_name_come_oldest_first(session: Session) -> None:
    p = session.partition()
    ids = [record(session, "m", "x", partition=p) for _ in range(3)]
    record(session, "other", partition=p)
    rows = session.call("message_traces", ("bigint", "text", "integer", "integer"), p, "m", 10, 0)
    assert {row.trace_id for row in rows} == set(ids)
    assert [row.created_at for row in rows] == sorted(row.created_at for row in rows)
    named = session.call("named_traces", ("text", "integer", "integer"), "x", 2, 1)
    assert [(row.trace_id, row.queue, row.partition) for row in named] == [(row.trace_id, "q", "p") for row in rows[1:]]
    assert session.one("select {s}.traced_name('x')") == 3
    assert session.one("select {s}.traced_name('unknown')") == 0


def test_old_traces_go_with_their_share_of_the_counts(session: Session) -> None:
    old = [record(session, "a", "x", "y"), record(session, "b", "x")]
    record(session, "a", "x")
    grow_old(session, *old)
    assert forget(session) == 2
    assert counts(session) == {"x": (1, 1)}
    assert session.one("select count(*) from {s}.trace_links") == 1
    assert forget(session) == 0


def test_traces_go_in_bounded_steps(session: Session) -> None:
    grow_old(session, *[record(session, f"m{n}", "x") for n in range(5)])
    assert [forget(session, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert counts(session) == {}


def test_two_first_traces_of_one_message_at_once_count_it_once(
    session: Session, another: Callable[[], Session]
) -> None:
    second, watcher = another(), another()
    with session.connection.transaction():
        record(session, "m", "x")
        thread = threading.Thread(target=record, args=(second, "m", "x"))
        thread.start()
        until_blocked(watcher, second)
    thread.join(60)
    assert counts(session) == {"x": (2, 1)}
