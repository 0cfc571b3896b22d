"""What tests of checks share: one check on a real database, before and after its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

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
) -> Result:
    """What this check says of the database. `thresholds` by name within the check."""
    named = {f"{check}.{name}": limit for name, limit in (thresholds or {}).items()}
    ask = Ask(dsn, [find(check)], url=url, window_s=window_s, deep=deep, thresholds=named)
    return run(ask).results[0]


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
    """A session that a remedy may end: closing it is no error then. `autocommit` is off unless it is asked for."""
    connection = psycopg.connect(dsn, **parameters)
    try:
        yield connection
    finally:
        connection.close()


def execute(dsn: str, *statements: str) -> None:
    """Statements of a test, each a transaction of its own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
