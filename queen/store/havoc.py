"""Sessions that trouble a database on purpose, for the faults of `queen bench`.

Every one is a context manager that ends its sessions on every way out. None touches a row, and all are named
`queen-havoc`, so that nobody takes them for Queen's own. Knows nothing of the run that it troubles.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
from psycopg import sql

from queen.errors import QueenError
from queen.store.translate import translate

_NAME = "queen-havoc"
_CONNECT_S = 10
_TAKE_TRIES = 5
"""Attempts to be faster than Queen at one place that has become free."""

_PAUSE_S = 0.05
"""Between two scans of a reader, so that a short table is no busy loop."""

_FREE = """
    select current_setting('max_connections')::integer - count(*)
      from pg_stat_activity where backend_type = 'client backend'"""
_END_SOME = """
    select count(pg_terminate_backend(pid))
      from (select pid from pg_stat_activity
             where application_name = 'queen' and datname = current_database()
             order by random() limit %s) queens"""
_SESSIONS = """
    select count(*) from pg_stat_activity where application_name = 'queen' and datname = current_database()"""


async def _open(dsn: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(
        dsn,
        autocommit=True,
        connect_timeout=_CONNECT_S,
        application_name=_NAME,
        prepare_threshold=None,
        options="-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c max_parallel_workers_per_gather=0",
    )


@asynccontextmanager
async def _session(dsn: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """One session, closed at the end. Raises Queen's errors, also for statements of the block."""
    try:
        connection = await _open(dsn)
        try:
            yield connection
        finally:
            await connection.close()
    except psycopg.Error as error:
        raise (translate(error) or QueenError(str(error))) from error


async def _number(connection: psycopg.AsyncConnection, statement: str, *values: object) -> int:
    row = await (await connection.execute(statement.encode(), values or None)).fetchone()
    return int(row[0]) if row else 0


class Pin:
    """An open transaction with an id."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def holds(self) -> bool:
        """Whether it is still open: an operator's time-out may have ended it."""
        try:
            await self._connection.execute("select 1")
        except psycopg.Error:
            return False
        return True


@asynccontextmanager
async def pinned(dsn: str) -> AsyncIterator[Pin]:
    """While this is open, no row that died after its begin can be removed. Raises Queen's errors."""
    async with _session(dsn) as connection:
        await connection.execute("begin")
        await connection.execute("select pg_current_xact_id()")
        yield Pin(connection)


class Scans:
    """How many scans of all readers ended, and how many were cut off."""

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0


@asynccontextmanager
async def readers(dsn: str, schema: str, count: int) -> AsyncIterator[Scans]:
    """`count` sessions scan all messages again and again, each in REPEATABLE READ. Raises Queen's errors."""
    scans = Scans()
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(_session(dsn)) for _ in range(count)]
        tasks = [asyncio.create_task(_scan(connection, schema, scans)) for connection in connections]
        try:
            yield scans
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _scan(connection: psycopg.AsyncConnection, schema: str, scans: Scans) -> None:
    text = "select count(*), sum(octet_length(payload)) from {}"
    statement = sql.SQL(text).format(sql.Identifier(schema, "messages"))
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    while not connection.closed:
        try:
            async with connection.transaction():
                await connection.execute(statement)
            scans.done += 1
        except psycopg.Error:
            scans.failed += 1
        await asyncio.sleep(_PAUSE_S)


class Terminator:
    """Ends sessions of Queen."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def end_some(self, count: int) -> int:
        """Ends up to `count` of them, whichever; how many there were."""
        return await _number(self._connection, _END_SOME, count)


@asynccontextmanager
async def terminator(dsn: str) -> AsyncIterator[Terminator]:
    """Raises Queen's errors."""
    async with _session(dsn) as connection:
        yield Terminator(connection)


class Hold:
    """Idle sessions that stand where others would. `taken`: places that were Queen's before."""

    def __init__(self) -> None:
        self.sessions = 0
        self.taken = 0


@asynccontextmanager
async def held(dsn: str, count: int) -> AsyncIterator[Hold]:
    """Holds `count` sessions; 0 or more than there are: all that are left, and then the places of half of Queen's.
    Raises Queen's errors."""
    hold = Hold()
    async with _session(dsn) as admin, AsyncExitStack() as stack:
        wanted = count or max(0, await _number(admin, _FREE))
        while hold.sessions < wanted and await _take(dsn, stack):
            hold.sessions += 1
        if hold.sessions == wanted and count:
            yield hold
            return
        for _ in range(await _number(admin, _SESSIONS) // 2):
            await _number(admin, _END_SOME, 1)
            hold.taken += await _take_soon(dsn, stack)
        yield hold


async def _take_soon(dsn: str, stack: AsyncExitStack) -> bool:
    """Takes the place of a session that is just ending, unless Queen has it again first."""
    for _ in range(_TAKE_TRIES):
        if await _take(dsn, stack):
            return True
        await asyncio.sleep(_PAUSE_S / 10)
    return False


async def _take(dsn: str, stack: AsyncExitStack) -> bool:
    """One more session; False when PostgreSQL has none left."""
    try:
        connection = await _open(dsn)
    except psycopg.OperationalError:
        return False
    stack.push_async_callback(connection.close)
    return True
