"""What the sessions of an operator's commands have in common: one connection of a DSN, opened and closed as a context.

`inspect` makes of it the one that only looks, `operate` the one that changes things.
"""

from __future__ import annotations

from typing import Any, Final, Self

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from queen.errors import QueenError
from queen.store.translate import translate

_CONNECT_S: Final = 3


class Session:
    """A session of one DSN. A context manager; opening raises StoreUnavailable, AccessDenied or another QueenError."""

    def __init__(self, dsn: str, application: str) -> None:
        self._dsn = dsn
        self._application = application
        self._connection: Connection[DictRow] | None = None

    def __enter__(self) -> Self:
        try:
            self._connection = self._dial()
        except psycopg.Error as error:
            raise refusal(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def connection(self) -> Connection[DictRow]:
        """The open connection, for tests and for those who need its facts."""
        if self._connection is None:
            raise AssertionError("the session is not open")
        return self._connection

    def _dial(self) -> Connection[DictRow]:
        """Connect, with the limits that every statement shall have."""
        raise NotImplementedError

    def _connect(self, **parameters: Any) -> Connection[DictRow]:
        return Connection[DictRow].connect(
            self._dsn,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            application_name=self._application,
            prepare_threshold=None,
            row_factory=dict_row,
            **parameters,
        )


def refusal(error: psycopg.Error) -> QueenError:
    """The error of ours for a session that could not be opened, or broke."""
    return translate(error) or QueenError(str(error))


def line_of(error: psycopg.Error) -> str:
    """The first line of what PostgreSQL says."""
    return " ".join(str(error).split("\n")[0].split())
