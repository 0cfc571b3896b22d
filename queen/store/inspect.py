"""One read-only session for those who look at PostgreSQL: the doctor, and tune-pg before it acts.

It holds no transaction between statements, so it pins no snapshot; statements and locks are given up early. It runs
the texts it is given and does not know what they mean. `operate` is the session that changes things.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import Connection, sql
from psycopg.rows import DictRow

from queen.errors import CannotLook, QueenError
from queen.store.session import Session, line_of, refusal

APPLICATION: Final = "queen-doctor"
STATEMENT_TIMEOUT_MS: Final = 2000
LOCK_TIMEOUT_MS: Final = 100
_PLAN_KEPT_AFTER: Final = 3

Row = dict[str, Any]


class Inspector(Session):
    """The session that looks; opened like every `Session`."""

    def __init__(self, dsn: str, schema: str = "queen", *, application: str = APPLICATION) -> None:
        super().__init__(dsn, application)
        self.schema = schema
        self.statements = 0
        """Statements sent so far, each a transaction of its own."""
        self.busy_s = 0.0
        """Seconds spent waiting for their answers."""

    @property
    def version(self) -> int:
        """Such as 150018."""
        return self.connection.info.server_version

    @property
    def host(self) -> str:
        """As libpq names it: a host, an address, or the folder of a socket."""
        return self.connection.info.host

    @property
    def parameters(self) -> dict[str, str]:
        """What the DSN and the environment asked of libpq beyond its defaults; no password is among it."""
        return self.connection.info.get_parameters()

    @property
    def protocol_pid(self) -> int:
        """The backend as the protocol names it; behind a pooler not the one that works."""
        return self.connection.info.backend_pid

    def rows(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of one statement; in it `{schema}` stands for Queen's schema as an identifier, `{schema_name}` for
        its name as a literal (other braces are then written twice).

        Raises CannotLook when PostgreSQL refuses or gives up this statement, StoreUnavailable when the session broke.
        """
        self.statements += 1
        began = time.monotonic()
        try:
            cursor = self.connection.execute(self._composed(text), parameters)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise self._refusal(error) from error
        finally:
            self.busy_s += time.monotonic() - began

    def keep_plans(self) -> None:
        """From now on a text that is sent again and again is planned once. Not behind a pooler, which may hand the next
        one to another backend."""
        self.connection.prepare_threshold = _PLAN_KEPT_AFTER

    def row(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> Row:
        """The first row, empty when there is none. Raises like `rows`."""
        found = self.rows(text, parameters)
        return found[0] if found else {}

    def _composed(self, text: str) -> sql.SQL | sql.Composed:
        query = sql.SQL(text)
        if "{schema" not in text:
            return query
        return query.format(schema=sql.Identifier(self.schema), schema_name=sql.Literal(self.schema))

    def _refusal(self, error: psycopg.Error) -> QueenError:
        if self.connection.closed or self.connection.broken or (error.sqlstate or "").startswith(("08", "57P")):
            return refusal(error)
        return CannotLook(line_of(error), kind=_kind(error))

    def _dial(self) -> Connection[DictRow]:
        options = (
            f"-c default_transaction_read_only=on -c statement_timeout={STATEMENT_TIMEOUT_MS}"
            f" -c lock_timeout={LOCK_TIMEOUT_MS} -c jit=off"
        )
        try:
            return self._connect(options=options)
        except psycopg.OperationalError as error:
            # Poolers refuse options that they do not know. The texts only read, and a timeout of ours bounds them.
            if "parameter" not in str(error):
                raise
            return self._connect()


def _kind(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.DataError | psycopg.errors.SyntaxError):
        return "faulty"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "privilege"
    if isinstance(error, psycopg.errors.QueryCanceled):
        return "timeout"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "lock"
    if isinstance(error, psycopg.ProgrammingError | psycopg.errors.ObjectNotInPrerequisiteState):
        return "missing"
    return "refused"
