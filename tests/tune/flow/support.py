"""A private cluster whose settings the tests may change, a small plan for it, and short ways to apply and to look."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from queen.embedded.cluster import Cluster
from queen.store.operate import Operator
from queen.tune.flow.apply import Done, apply
from queen.tune.flow.journal import Journal, Shelf
from queen.tune.flow.live import Live
from queen.tune.flow.rollback import rollback
from queen.tune.flow.wanted import KINDS, Wanted, wishes
from queen.tune.inputs import GIB, Inputs
from queen.tune.lines import Line, Plan, RoleLine, TableLine

SCHEMA = "queen"


def plan_of(*lines: tuple[str, str, str], tables: Sequence[TableLine] = (), roles: Sequence[RoleLine] = ()) -> Plan:
    """A plan of (name, value, needs)."""
    made = tuple(Line(name, value, "Memory", f"because of {name}", "", needs) for name, value, needs in lines)  # type: ignore[arg-type]
    return Plan(Inputs(memory_bytes=4 * GIB, cpus=2), made, tuple(tables), tuple(roles), ())


PLAN = plan_of(
    ("checkpoint_timeout", "11min", "reload"),
    ("random_page_cost", "1.25", "reload"),
    ("shared_buffers", "96MB", "restart"),
    tables=[
        TableLine("cursors", "fillfactor", "60", "room"),
        TableLine("leader", "autovacuum_vacuum_threshold", "1234", "few"),
    ],
    roles=[RoleLine("lock_timeout", "3s", "no queue behind a lock"), RoleLine("jit", "off", "short statements")],
)


class Ground(NamedTuple):
    """A server and the journals of what is done to it."""

    cluster: Cluster
    dsn: str
    shelf: Shelf

    def apply(self, plan: Plan = PLAN, *, kinds: Sequence[str] = KINDS, dsn: str | None = None, **options: Any) -> Done:
        """As `queen tune-pg --apply` does."""
        with Operator(dsn or self.dsn, application="queen-tune-pg") as operator:
            host = operator.connection.info.host
            return apply(operator, host, self.shelf, plan, wish_list(plan, kinds), schema=SCHEMA, **options)

    def rollback(self) -> list[Journal]:
        """As `queen tune-pg --rollback` does."""
        with Operator(self.dsn, application="queen-tune-pg") as operator:
            return rollback(operator, self.shelf)

    def value(self, statement: str) -> Any:
        """The first value of one statement, in a session of its own."""
        return one(self.dsn, statement)

    def run(self, *statements: str) -> None:
        """Statements of an administrator, each a transaction."""
        run_sql(self.dsn, *statements)

    @property
    def files(self) -> dict[str, tuple[bytes, int, int, int]]:
        """Every configuration file below the data directory: bytes, mode and owner."""
        folder = self.cluster.data_dir
        paths = [*folder.glob("*.conf"), *folder.glob("conf.d"), *folder.glob("conf.d/*")]
        return {str(path.relative_to(folder)): _state(path) for path in paths}


def wish_list(plan: Plan, kinds: Sequence[str] = KINDS) -> Any:
    """The wishes of a plan, made of what the server is."""

    def make(live: Live) -> list[Wanted]:
        return wishes(plan, live.role, live.children, frozenset(kinds))

    return make


def one(dsn: str, statement: str) -> Any:
    """The first value of one statement."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return None if row is None else row[0]


def run_sql(dsn: str, *statements: str) -> None:
    """Statements, each a transaction."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def edited(path: Path, text: str) -> Iterator[None]:
    """A file with other words in it, put back at the end; owner and mode stay."""
    before = path.read_bytes()
    path.write_text(text, "utf-8")
    try:
        yield
    finally:
        path.write_bytes(before)


def _state(path: Path) -> tuple[bytes, int, int, int]:
    status = os.stat(path)
    return (path.read_bytes() if path.is_file() else b"", status.st_mode, status.st_uid, status.st_gid)
