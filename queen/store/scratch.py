"""A schema for a trial on a database that is in use: made empty, gone afterwards, and told apart from every other one.

It is known by its comment, so that what a killed run left behind is removed by the next one, and a schema of somebody
else that happens to have the name is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg
from psycopg import Connection, sql

from queen.errors import CannotChange
from queen.store.connect import admin

MARK: Final = "a trial of queen; it may be dropped"
_TIMEOUT_S: Final = 30.0
_LOCK: Final = "select pg_try_advisory_lock(5326158, hashtext(%s))"
_COMMENT: Final = "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s"


@contextmanager
def scratch_schema(dsn: str, name: str) -> Iterator[None]:
    """The schema, empty, and without it afterwards. Raises CannotChange when the name is taken or another trial runs,
    AccessDenied when the role may not make one, StoreUnavailable."""
    with admin(dsn, _TIMEOUT_S) as connection:
        taken = connection.execute(_LOCK, [name]).fetchone()
        if taken is None or not taken[0]:
            raise CannotChange("another trial runs on this database", hint="wait until it has ended")
        _remove(connection, name)
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))
        try:
            connection.execute(sql.SQL("comment on schema {} is {}").format(sql.Identifier(name), sql.Literal(MARK)))
            yield
        finally:
            with suppress(psycopg.Error):  # the server may be gone; then the next run removes it
                _remove(connection, name)


def _remove(connection: Connection, name: str) -> None:
    row = connection.execute(_COMMENT, [name]).fetchone()
    if row is None:
        return
    if row[0] != MARK:
        raise CannotChange(f"the schema {name} is there already, and queen did not make it", hint="rename it")
    connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(name)))
