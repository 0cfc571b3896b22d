"""The composition root: settings → pool → store → engine, as one async context manager.

The only place that knows all the parts. A server, a test or a tool opens a runtime and gets a running engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from queen import errors
from queen.engine.engine import Engine
from queen.settings import Settings
from queen.store.admin.admin import Admin
from queen.store.admin.switches import POP_MAINTENANCE
from queen.store.budget import Budget, read_budget
from queen.store.enqueued import EnqueuedStore
from queen.store.epochs import EpochStore
from queen.store.listen import Listener
from queen.store.migrate import MigrationReport, migrate
from queen.store.pool import Pool
from queen.store.postgres import PostgresStore

log = logging.getLogger(__name__)

_WAIT_FIRST_S = 0.2
_WAIT_MAX_S = 5.0
_WAITS_MAX = 4

T = TypeVar("T")


@dataclass(slots=True)
class Runtime:
    """A running engine with its stores."""

    settings: Settings
    engine: Engine
    admin: Admin
    pool: Pool
    migration: MigrationReport


@contextlib.asynccontextmanager
async def open_runtime(settings: Settings, dsn: str, direct_dsn: str | None = None) -> AsyncIterator[Runtime]:
    """Connect (waiting for a database that is down), migrate, start the engine; at the end stop and close all.

    `direct_dsn` is for migrations and the listener, where `dsn` goes through a transaction pooler. Raises AccessDenied,
    SchemaMismatch, and SettingsError when PostgreSQL can never grant the connections.
    """
    budget = await with_patience(lambda: read_budget(dsn, settings.database.pool_size, settings.server.workers))
    _check(budget)
    migration = await with_patience(lambda: migrate(direct_dsn or dsn, settings.database.schema))
    pool = Pool(dsn, settings.database, budget)
    await pool.open()
    try:
        waits_max = max(1, min(_WAITS_MAX, settings.database.pool_size // 4))
        schema = settings.database.schema
        admin = Admin(pool, schema)
        engine = Engine(
            PostgresStore(pool, schema),
            settings.engine,
            waits_max,
            EpochStore(pool, schema, settings.engine.upkeep_lock_ms),
            admin.statistics,
            enqueued=EnqueuedStore(pool, schema),
            activity=admin.activity,
            costs=admin.past,
        )
        admin = Admin(pool, schema)
        # Before the first pop is taken: a pause outlives every server.
        engine.learn_pause(*await with_patience(lambda: admin.switches.read(POP_MAINTENANCE)))
        engine.start()
        hearing = engine.hearing
        listener = Listener(direct_dsn or dsn, settings.database.schema, hearing.heard, hearing.up, hearing.down)
        listener.start()
        try:
            yield Runtime(settings, engine, admin, pool, migration)
        finally:
            await listener.stop()
            await engine.stop(settings.server.shutdown_timeout_ms / 1000)
    finally:
        await pool.close()


def _check(budget: Budget) -> None:
    budget.check()
    log.info("connection budget %s", budget.describe())
    if budget.tight:
        log.warning("connections run short unless other programs give some back hint=raise max_connections")


async def with_patience(connect: Callable[[], Awaitable[T]]) -> T:
    """Try until the database is there: exponential back-off with full jitter, and a line in the log for each try."""
    ceiling = _WAIT_FIRST_S
    while True:
        try:
            return await connect()
        except errors.StoreUnavailable as error:
            wait_s = random.uniform(_WAIT_FIRST_S / 2, ceiling)
            ceiling = min(_WAIT_MAX_S, ceiling * 2)
            log.warning("waiting for the database error=%s next_try_s=%.1f", error.message, wait_s)
            await asyncio.sleep(wait_s)
