"""Connections of the data plane: psycopg_pool under a thin manager.

A connection is taken for one call and given back on every path; it is autocommit, so that no transaction stays open
while anything outside the database is awaited. It knows nothing of what is executed on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import psycopg
import psycopg_pool
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from queen import errors
from queen.settings import DatabaseSettings
from queen.store import arrays
from queen.store.translate import translate

log = logging.getLogger(__name__)

Connection = AsyncConnection[tuple[object, ...]]


COMMITTED = "committed"

# In the words of http-api.md §2.1: a commit may come back before it is on disk (async), or after a standby has it too.
_DURABILITY = """
select case when current_setting('synchronous_commit') = 'off' or current_setting('fsync') = 'off' then 'async'
            when current_setting('synchronous_commit') <> 'local'
                 and current_setting('synchronous_standby_names') <> '' then 'replicated'
            else 'committed' end
"""


class Pool:
    """A bounded pool of connections to one database."""

    def __init__(self, dsn: str, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._checking: asyncio.Task[None] | None = None
        self.durability = COMMITTED
        self._deadline_s = settings.statement_timeout_ms / 1000
        self._pool = AsyncConnectionPool(
            dsn,
            min_size=min(4, settings.pool_size),
            max_size=settings.pool_size,
            timeout=settings.connection_timeout_ms / 1000,
            max_waiting=settings.pool_waiting_max,
            max_lifetime=settings.connection_age_ms_max / 1000,
            max_idle=settings.connection_idle_ms_max / 1000,
            reconnect_timeout=5,
            open=False,
            configure=self._configure,
            kwargs={"autocommit": True, "prepare_threshold": 0, "application_name": "queen", "connect_timeout": 5},
            name="queen",
        )

    async def open(self) -> None:
        """Start filling the pool; does not wait for the first connection."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection; calls that wait for one fail."""
        await self._pool.close(timeout=5)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection for one call, with a deadline around it.

        Raises PoolTimeout when none gets free in time, Overloaded when too many wait, and for what goes wrong inside
        the Queen error that `translate` names.
        """
        try:
            async with asyncio.timeout(self._deadline_s), self._pool.connection() as connection:
                yield connection
        except (psycopg.Error, OSError, TimeoutError) as error:
            found = translate(error) or errors.QueenError(str(error))
            if isinstance(found, errors.StoreUnavailable):
                self._check()
            raise found from error

    def _check(self) -> None:
        """One connection broke, so the idle ones may be broken too: have them tried now, not one by one by requests."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.get_running_loop().create_task(self._try_connections())

    async def _try_connections(self) -> None:
        with contextlib.suppress(psycopg.Error, psycopg_pool.PoolClosed, OSError):
            await self._pool.check()

    async def _configure(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        """What every new connection gets, and what it tells: how durable a commit on it is."""
        arrays.register(connection)
        row = await (await connection.execute(_DURABILITY)).fetchone()
        self.durability = str(row[0]) if row else COMMITTED

    @property
    def size_max(self) -> int:
        """Most connections."""
        return self._settings.pool_size

    def stats(self) -> dict[str, int]:
        """size, idle, waiting (requests in the line), and the counters of psycopg_pool under its own names."""
        raw = self._pool.get_stats()
        return {
            "size": raw.get("pool_size", 0),
            "idle": raw.get("pool_available", 0),
            "waiting": raw.get("requests_waiting", 0),
            "connection_errors": raw.get("connections_errors", 0),
            "connections_lost": raw.get("connections_lost", 0),
            "wait_ms": raw.get("requests_wait_ms", 0),
            "timeouts": raw.get("requests_errors", 0),
        }
