"""What tests of checks share: one check on a real database, before and after its remedy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from queen.doctor.catalogue import find
from queen.doctor.finding import Finding, Fix, Result, Threshold
from queen.doctor.run import Ask, run
from queen.store.operate import Operator

WINDOW_S = 0.3

LATE_S = 0.7
LONG_WINDOW_S = 1.5
"""Up to 14 the statistics come from a file, which may be half a second old, and a session tells what it did at most
twice a second. From 15 on they can be made to come at once."""


def look(
    dsn: str,
    check: str,
    *,
    window_s: float = WINDOW_S,
    url: str | None = None,
    deep: bool = False,
    thresholds: dict[str, Threshold] | None = None,
    pooler_admin: str | None = None,
    at_once: bool = False,
    during: Callable[[], object] | None = None,
    memos: Mapping[str, tuple[Any, ...]] | None = None,
) -> Result:
    """What this check says of the database. `thresholds` by name within the check; `during` is called when the window
    begins; `memos` are those of a baseline file. `at_once`: late statistics are not waited for, because what is looked
    at would be over."""

    def on_stage(name: str, _seconds: float) -> None:
        if name == "window" and during is not None:
            during()
            settle(dsn)

    if not at_once:
        settle(dsn)
    window_s = max(window_s, LONG_WINDOW_S) if _statistics_are_late(dsn) else window_s
    named = {f"{check}.{name}": limit for name, limit in (thresholds or {}).items()}
    ask = Ask(dsn, [find(check)], url=url, window_s=window_s, deep=deep, thresholds=named, pooler_admin=pooler_admin)
    return run(replace(ask, memos=memos or {}), on_stage).results[0]


def look_as(role: str, dsn: str, check: str) -> Result:
    """What it says when every session of the database begins as this role."""
    database = f'alter database "{conninfo_to_dict(dsn)["dbname"]}"'
    execute(dsn, f"{database} set role = {role}")
    try:
        return look(dsn, check)
    finally:
        execute(dsn, "set role none", f"{database} reset role")


def only(result: Result) -> Finding:
    """Its one finding."""
    assert len(result.findings) == 1, result
    return result.findings[0]


def about(result: Result, name: str) -> Finding:
    """Its finding about one object."""
    found = [finding for finding in result.findings if finding.object == name]
    assert len(found) == 1, result
    return found[0]


def apply(dsn: str, fix: Fix | None) -> None:
    """Run the statements of a fix, as --fix does."""
    assert fix is not None
    with Operator(dsn) as operator:
        for statement in fix.apply:
            operator.run(statement)


def undo(dsn: str, fix: Fix | None) -> None:
    """Take them back."""
    assert fix is not None
    with Operator(dsn) as operator:
        for statement in fix.undo:
            operator.run(statement)


@contextmanager
def session(dsn: str, **parameters: Any) -> Iterator[psycopg.Connection[Any]]:
    """A session that a remedy may end: closing it is no error then. `autocommit` is off unless it is asked for. No
    statement takes longer than 15 s, so that a test that fails does not hang in a lock."""
    connection = psycopg.connect(dsn, options="-c statement_timeout=15s", **parameters)
    try:
        yield connection
    finally:
        connection.close()


def work(dsn: str, *statements: str) -> None:
    """The same in one transaction."""
    execute(dsn, "begin", *statements, "commit")


def wait_for(dsn: str, question: str) -> None:
    """Returns when a statement answers with something true, within 10 s."""
    end = time.monotonic() + 10
    with psycopg.connect(dsn, autocommit=True) as connection:
        while time.monotonic() < end:
            row = connection.execute(question).fetchone()
            if row and row[0]:
                return
            time.sleep(0.02)
    raise AssertionError(f"not within 10 s: {question}")


@contextmanager
def meanwhile(step: Callable[[], object]) -> Iterator[None]:
    """A thread calls `step` again and again; it has ended once when this begins."""
    stopping, begun = threading.Event(), threading.Event()

    def go_on() -> None:
        while not stopping.is_set():
            step()
            begun.set()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        assert begun.wait(20), "the first step did not end"
        yield
    finally:
        stopping.set()
        thread.join(20)


def execute(dsn: str, *statements: str) -> None:
    """Statements of a test, each a transaction of its own. What they did is in the statistics when this returns, or
    when the next `look` begins."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            if statement.startswith("vacuum") and _statistics_are_late(dsn):
                # What came before would be told after it, and be counted on top of what it found.
                time.sleep(LATE_S)
                connection.execute("select 1")
            connection.execute(statement)
            flush(connection)


def flush(connection: psycopg.Connection[Any]) -> None:
    """Let this session tell the statistics what it did."""
    if connection.info.server_version >= 150000:
        connection.execute("select pg_stat_force_next_flush()")


def settle(dsn: str) -> None:
    """Up to 14, wait until all that was done is in the statistics, and the database itself too."""
    if _statistics_are_late(dsn):
        psycopg.connect(dsn).close()
        time.sleep(LATE_S)


_late: dict[tuple[str, str], bool] = {}
"""By host and port."""


def _statistics_are_late(dsn: str) -> bool:
    parts = conninfo_to_dict(dsn)
    place = str(parts.get("host")), str(parts.get("port"))
    if place not in _late:
        with psycopg.connect(dsn) as connection:
            _late[place] = connection.info.server_version < 150000
    return _late[place]
