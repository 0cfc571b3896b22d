"""One small session that looks at PostgreSQL: counters, waits, sizes, facts. It changes nothing.

The session is read-only, gives up early on statements and locks, and is made again when it breaks; until then every
answer is None: a gap, not an error. It knows the statements of `queen/sql/catalog`, and not what their figures mean.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final, Self

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row

from queen import sql as files
from queen.errors import QueenError
from queen.store.translate import translate

APPLICATION: Final = "queen-bench"
_OPTIONS: Final = "-c default_transaction_read_only=on -c statement_timeout=2000 -c lock_timeout=500"
_ANSWER_S: Final = 3.0
_CONNECT_S: Final = 3
_AGAIN_S: Final = 0.5
_LOCAL: Final = ("localhost", "127.0.0.1", "::1", "")


class Probe:
    """Looks at the database of one DSN. An async context manager that raises like `connect`; else call that first."""

    def __init__(self, dsn: str, schema: str = "queen") -> None:
        self._dsn = dsn
        self._schema = schema
        self._connection: AsyncConnection[DictRow] | None = None
        self._lock = asyncio.Lock()
        self._again_at = 0.0
        self._absent: set[str] = set()
        self.statements = 0
        """Statements sent so far, each a transaction of its own: what observing costs."""
        self.breaks = 0
        """Times that the session broke or could not be made."""

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Opens the session. Raises StoreUnavailable, AccessDenied or another of Queen's errors."""
        try:
            self._connection = await self._open()
        except (psycopg.Error, TimeoutError) as error:
            raise translate(error) or QueenError(str(error)) from error

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    @property
    def version(self) -> int | None:
        """Such as 150018; None without a session."""
        return self._connection.info.server_version if self._connection else None

    def backend_pid(self) -> int | None:
        """Our own backend, when PostgreSQL may be on this machine; None elsewhere."""
        if self._connection is None:
            return None
        host = self._connection.info.host
        return self._connection.info.backend_pid if host.startswith("/") or host in _LOCAL else None

    def session_pid(self) -> int | None:
        """The backend as the protocol names it: behind a pooler not the one that works."""
        return self._connection.info.backend_pid if self._connection else None

    async def counters(self) -> dict[str, float | None] | None:
        """Running totals of database and cluster, and the age of the oldest snapshot; null where not known."""
        found = await self.row("database")
        version = self.version
        if found is None or version is None:
            return None
        names = ["wal_18" if version >= 180000 else "wal", "checkpoints_17" if version >= 170000 else "checkpoints"]
        names += [*(["io"] if version >= 160000 else []), "oldest_xmin", "statements"]
        for name in names:
            found |= await self.row(name) or {}
        return {name: None if value is None else float(value) for name, value in found.items()}

    async def waits(self) -> dict[str, int] | None:
        """How many of Queen's working sessions are in each wait event now; `CPU`: in none."""
        rows = await self.rows("wait_events")
        return None if rows is None else {row["event"]: int(row["sessions"]) for row in rows}

    async def tables(self) -> dict[str, dict[str, float]] | None:
        """Activity and size by table."""
        rows = await self.rows("tables", schema=self._schema)
        if rows is None:
            return None
        return {row.pop("table_name"): {name: float(value or 0) for name, value in row.items()} for row in rows}

    async def row(self, name: str, **parameters: Any) -> dict[str, Any] | None:
        """The one row of a catalog statement; None when it is not to be had."""
        rows = await self.rows(name, **parameters)
        return rows[0] if rows else None

    async def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]] | None:
        """The rows of a catalog statement; None when it is not to be had. What is not installed or not allowed is
        asked for once. Takes a few seconds at most."""
        async with self._lock:
            connection = await self._session()
            if connection is None or name in self._absent:
                return None
            try:
                async with asyncio.timeout(_ANSWER_S):
                    return await self._run(connection, name, parameters)
            except (psycopg.ProgrammingError, psycopg.errors.ObjectNotInPrerequisiteState):
                self._absent.add(name)
            except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
                return None
            except (psycopg.Error, TimeoutError, OSError):
                await self._drop()
            return None

    async def _run(
        self, connection: AsyncConnection[DictRow], name: str, parameters: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        self.statements += 1
        # The text is a file of ours; the schema is the one thing put into it, and quoted.
        text = sql.SQL(files.catalog(name))
        query = text.format(schema=sql.Identifier(self._schema)) if "{schema}" in files.catalog(name) else text
        cursor = await connection.execute(query, parameters or None)
        return await cursor.fetchall()

    async def _session(self) -> AsyncConnection[DictRow] | None:
        if self._connection is None and time.monotonic() >= self._again_at:
            try:
                self._connection = await self._open()
            except (psycopg.Error, TimeoutError, OSError):
                await self._drop()
        return self._connection

    async def _open(self) -> AsyncConnection[DictRow]:
        async with asyncio.timeout(_CONNECT_S + 1):
            try:
                return await self._dial(options=_OPTIONS)
            except psycopg.OperationalError as error:
                # Poolers refuse options that they do not know. The statements read only; their time is bounded here.
                if "parameter" not in str(error):
                    raise
                return await self._dial()

    async def _dial(self, **parameters: Any) -> AsyncConnection[DictRow]:
        return await AsyncConnection[DictRow].connect(
            self._dsn,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            application_name=APPLICATION,
            prepare_threshold=None,
            row_factory=dict_row,
            **parameters,
        )

    async def _drop(self) -> None:
        self.breaks += 1
        self._again_at = time.monotonic() + _AGAIN_S
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
