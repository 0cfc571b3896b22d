"""One session that changes PostgreSQL for an operator: `queen doctor --fix`, `queen tune-pg --apply`, and their undo.

Each statement is a transaction of its own. A lock is waited for two seconds at most, then the statement is given up
and tried again after a pause, so that nothing queues behind it. It runs what it is given and does not judge it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from queen.errors import CannotChange
from queen.store.connect import url_of
from queen.store.inspect import Row
from queen.store.session import Session, line_of, refusal

LOCK_TIMEOUT_MS: Final = 2000
ATTEMPTS: Final = 5
_GONE: Final = (
    psycopg.errors.UndefinedObject,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InvalidSchemaName,
)
_LOCK_CLASS: Final = 0x51454E  # "QEN": keeps the advisory lock apart from those of other programs


class Operator(Session):
    """The session that changes; opened like every `Session`."""

    def __init__(self, dsn: str, *, application: str = "queen-doctor", timeout_ms: int = 600_000) -> None:
        super().__init__(dsn, application)
        self._timeout_ms = timeout_ms

    @property
    def url(self) -> str:
        """Where this session is, with its password, for a child that is given no environment: never print it."""
        return url_of(self.connection)

    def claim(self, number: int) -> bool:
        """Take the advisory lock of this number until the session ends; False: another session has it."""
        taken = self.rows("select pg_try_advisory_lock(%s, %s) as taken", [_LOCK_CLASS, number])
        return bool(taken[0]["taken"])

    def rows(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a statement that may change something. Raises CannotChange, StoreUnavailable."""
        try:
            cursor = self.connection.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []
        except psycopg.errors.LockNotAvailable as error:
            raise CannotChange(
                f"a lock was not free within {LOCK_TIMEOUT_MS / 1000:.0f} s: {line_of(error)}",
                hint="find who holds it with: queen doctor --only L1,V5,V6",
                busy=True,
            ) from error
        except psycopg.Error as error:
            if self.connection.closed:
                raise refusal(error) from error
            raise CannotChange(line_of(error), gone=isinstance(error, _GONE)) from error

    def run(self, text: str) -> list[Row]:
        """The same for one statement of a plan: a lock that is not free is tried for again, `ATTEMPTS` times in all."""
        for attempt in Retrying(
            retry=retry_if_exception_type(_Busy),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.2, max=3),
            reraise=True,
        ):
            with attempt:
                return self._once(text)
        raise AssertionError("tenacity returns or raises")

    def _once(self, text: str) -> list[Row]:
        try:
            return self.rows(text)
        except CannotChange as error:
            if error.busy:
                raise _Busy(error.message, hint=error.hint, busy=True) from error
            raise

    def _dial(self) -> Connection[DictRow]:
        connection = self._connect()
        # Set one by one: a pooler refuses them as options of the start packet.
        connection.execute(f"set lock_timeout = {LOCK_TIMEOUT_MS}")
        connection.execute(f"set statement_timeout = {self._timeout_ms}")
        return connection


class _Busy(CannotChange):
    """A lock that was not free: worth another attempt."""
