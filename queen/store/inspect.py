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
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import DictRow

from queen.errors import CannotLook, QueenError
from queen.store.session import Session, line_of, refusal

APPLICATION: Final = "queen-doctor"
STATEMENT_TIMEOUT_MS: Final = 2000
LOCK_TIMEOUT_MS: Final = 100
_NEVER_BY_ITSELF: Final = 1 << 30  # how often a text has to come before the driver prepares it unasked
_GLANCE: Final = b"queen_doctor_glance"

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
        self._glanced = False

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

    def keep_plans(self) -> None:
        """From now on texts that come again are planned once. Not behind a pooler, which may hand the next one to
        another backend."""
        self.connection.prepare_threshold = _NEVER_BY_ITSELF

    def rows(
        self, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None, *, again: bool = False
    ) -> list[Row]:
        """The rows of one statement; in it `{schema}` stands for Queen's schema as an identifier, `{schema_name}` for
        its name as a literal (other braces are then written twice). `again`: the text will come once more.

        Raises CannotLook when PostgreSQL refuses or gives up this statement, StoreUnavailable when the session broke.
        """
        self.statements += 1
        began = time.monotonic()
        try:
            cursor = self.connection.execute(self._composed(text), parameters, prepare=again or None)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise self._refusal(error) from error
        finally:
            self.busy_s += time.monotonic() - began

    def glance(self, text: str) -> list[tuple[str, ...]]:
        """The rows of a text that comes again and again, as PostgreSQL writes them; null is empty. One such text a
        session, without parameters. By libpq alone: after a pause beside a busy database every line of Python is slow.

        Raises like `rows`.
        """
        self.statements += 1
        began = time.monotonic()
        try:
            return self._texts(text.encode())
        except psycopg.Error as error:
            raise self._refusal(error) from error
        finally:
            self.busy_s += time.monotonic() - began

    def _texts(self, text: bytes) -> list[tuple[str, ...]]:
        link = self.connection.pgconn
        if self.connection.prepare_threshold is None:
            result = _checked(link.exec_(text))
        else:
            if not self._glanced:
                _checked(link.prepare(_GLANCE, text))
                self._glanced = True
            result = _checked(link.exec_prepared(_GLANCE, None))
        rows, columns = range(result.ntuples), range(result.nfields)
        return [tuple((result.get_value(row, column) or b"").decode() for column in columns) for row in rows]

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
            f" -c lock_timeout={LOCK_TIMEOUT_MS}"
        )
        try:
            return self._connect(options=options)
        except psycopg.OperationalError as error:
            # Poolers refuse options that they do not know. The texts only read, and a timeout of ours bounds them.
            if "parameter" not in str(error):
                raise
            return self._connect()


def _checked(result: PGresult) -> PGresult:
    """Raises psycopg.Error when it is one."""
    if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        return result
    if not result.error_field(DiagnosticField.SQLSTATE):  # libpq says so itself: the connection is gone
        raise psycopg.OperationalError(result.get_error_message())
    raise psycopg.errors.error_from_result(result)


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
