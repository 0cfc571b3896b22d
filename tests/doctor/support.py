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


def look(
    dsn: str,
    check: str,
    *,
    window_s: float = WINDOW_S,
    url: str | None = None,
    deep: bool = False,
    thresholds: dict[str, Threshold] | None = None,
    pooler_admin: str | None = None,
    during: Callable[[], object] | None = None,
    memos: Mapping[str, tuple[Any, ...]] | None = None,
) -> Result:
    """What this check says of the database. `thresholds` by name within the check; `during` is called when the window
    begins; `memos` are those of a baseline file."""

    def on_stage(name: str, _seconds: float) -> None:
        if name == "window" and during is not None:
            during()

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
    """The same, and the statistics of it are counted when this returns."""
    execute(dsn, "begin", *statements, "commit", "select pg_stat_force_next_flush()")


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
    """Statements of a test, each a transaction of its own. What they did is in the statistics when this returns."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
            if connection.info.server_version >= 150000:
                connection.execute("select pg_stat_force_next_flush()")
