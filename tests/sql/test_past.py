"""What is kept for days: starts of servers, and what calls cost by the hour."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.sql.client import Row, Session, Signal

pytestmark = pytest.mark.pg

_START = ("uuid", "text", "integer", "integer", "text")


def start(session: Session, number: int) -> uuid.UUID:
    """A start of server `number`."""
    instance = uuid.UUID(int=number)
    session.call("record_start", _START, instance, "here", 6632, 0, "0.1")
    return instance


def starts(session: Session, limit: int = 1_000) -> list[Row]:
    return session.call("recent_starts", ("bigint", "integer"), 5_000, limit)


def test_a_start_has_an_end_or_runs_or_was_killed(session: Session) -> None:
    ended, running, _ = start(session, 1), start(session, 2), start(session, 3)
    start(session, 1)
    session.call("beat", ("uuid", "text", "integer", "bigint"), running, "0.1", 16, 5_000)
    for _ in range(2):
        session.call("record_end", ("uuid",), ended)
    found = [(row.instance_id.int, row.ended_at is not None, row.runs) for row in starts(session)]
    assert found == [(3, False, False), (2, False, True), (1, True, False)]


def test_the_latest_two_hundred_starts_are_kept(session: Session) -> None:
    for number in range(1, 206):
        start(session, number)
    found = [row.instance_id.int for row in starts(session)]
    assert found == list(range(205, 5, -1))
    assert len(starts(session, 7)) == 7


def record(session: Session, *rows: tuple[str, int, float, float]) -> None:
    names = ("name", "calls", "total_ms", "blocks")
    session.call("record_statements", ("jsonb",), Jsonb([dict(zip(names, row, strict=True)) for row in rows]))


def age(session: Session, hours: int) -> None:
    """Move everything that is kept back in time."""
    session.rows("update {s}.statement_hours set bucket = bucket - %s * interval '1 hour'", hours)


def baselines(session: Session, calls_min: int = 1) -> list[Row]:
    return session.call("statement_baselines", ("bigint",), calls_min)


def test_costs_of_an_hour_add_up_and_go_after_a_week(session: Session) -> None:
    record(session, ("push", 10, 5.0, 100.0), ("ack", 1, 1.0, 1.0))
    record(session, ("push", 30, 5.0, 60.0))
    rows = session.rows("select name, calls, total_ms, blocks from {s}.statement_hours order by name")
    assert [tuple(row) for row in rows] == [("ack", 1, 1.0, 1.0), ("push", 40, 10.0, 160.0)]
    age(session, 24 * 7 + 1)
    record(session, ("pop", 1, 1.0, 1.0))
    assert [tuple(row) for row in session.rows("select name from {s}.statement_hours")] == [("pop",)]


def test_a_baseline_is_the_median_of_earlier_hours(session: Session) -> None:
    for mean_ms in (9.0, 1.0, 2.0):
        record(session, ("push", 1_000, 1_000 * mean_ms, 5_000.0))
        age(session, 1)
    assert baselines(session)[0].hours == 2, "the hour before the one that runs does not count"
    age(session, 1)
    (found,) = baselines(session)
    assert tuple(found)[:6] == ("push", 3, 3_000, 2.0, 1.0, 5.0)
    assert baselines(session, 1_001) == [], "an hour with few calls says little"


def _install(session: Session) -> None:
    if not session.rows("select 1 from pg_available_extensions where name = 'pg_stat_statements'"):
        pytest.skip("needs the Debian package postgresql-contrib")
    session.rows("create extension pg_stat_statements")


def _totals(session: Session) -> dict[str, Any]:
    return {row.name: row for row in session.call("statement_totals", ())}


def test_totals_are_those_of_the_calls_of_this_schema(session: Session) -> None:
    assert _totals(session) == {}, "not installed"
    _install(session)
    calls = ("push", "pop", "ack")
    before = {name: _totals(session)[name].calls if name in _totals(session) else 0 for name in calls}
    p = session.partition()
    session.push({p: ["a", "b"]})
    session.open_cursors([p])
    session.pop(p)
    session.ack(Signal(p, session.lease, completed=0))
    found = _totals(session)
    assert {name: found[name].calls - before[name] for name in calls} == {"push": 1, "pop": 1, "ack": 1}
    assert all(row.total_ms > 0 and row.blocks > 0 for row in found.values())


def test_an_extension_that_may_not_be_read_is_as_none(session: Session) -> None:
    _install(session)
    session.rows("revoke all on pg_stat_statements from public")
    session.rows("create role nobody_of_past")
    try:
        session.rows("grant usage on schema {s} to nobody_of_past")
        session.rows("set role nobody_of_past")
        assert _totals(session) == {}
    finally:
        session.rows("reset role")
        session.rows("drop owned by nobody_of_past")
        session.rows("drop role nobody_of_past")
