"""The admin console of a PgBouncer: its SHOW commands, read over one short connection.

The console is a database named `pgbouncer` that speaks the simple protocol only, so nothing is prepared and no
parameter is sent. It runs the commands it is given and does not know what their columns mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from queen.errors import QueenError
from queen.store.translate import translate

_CONNECT_S: Final = 3


def show(console: str, commands: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The rows of `SHOW …` for each of these words, such as POOLS. `console`: a URL of the database `pgbouncer`.

    A command that this version does not know has no rows. Raises StoreUnavailable, AccessDenied when the console is
    not reached or not ours to read.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        with psycopg.connect(
            console,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            application_name="queen-doctor",
            prepare_threshold=None,
            row_factory=dict_row,
        ) as connection:
            for command in commands:
                found[command] = _rows(connection, command)
    except psycopg.Error as error:
        raise (translate(error) or QueenError(str(error))) from error
    return found


def _rows(connection: psycopg.Connection[dict[str, Any]], command: str) -> list[dict[str, Any]]:
    try:
        return connection.execute(f"SHOW {command}".encode()).fetchall()
    except psycopg.ProgrammingError:
        return []
