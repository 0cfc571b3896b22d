"""The budget of connections: what this server and its likes need, against what PostgreSQL grants.

Also the advice that goes with a time-out: more connections where they fit, else why more would make it worse.
Reads a few facts over one connection; knows nothing of the pool itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from queen import errors
from queen.store.translate import translate

EXTRA = 2
"""Connections of one instance beside its pool: the listener, and one for administration."""

_POOL_SIZE_MAX = 1000
_TIMEOUT_MS_MAX = 60_000

_FACTS = """
select pg_backend_pid(), current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true), '0')::int,
       count(*) filter (where application_name not like 'queen%'),
       count(*) filter (where application_name = 'queen')
  from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """Who needs how many connections."""

    pool_size: int
    instances: int
    max_connections: int
    reserved: int
    """Kept for superusers."""
    others: int
    """Open connections of other programs, and of other instances when `instances` does not count them."""
    pooled: bool
    """A transaction pooler stands in between: pools share its connections, and only the extra ones are direct."""

    @property
    def each(self) -> int:
        """What one instance takes of `max_connections`."""
        return EXTRA if self.pooled else self.pool_size + EXTRA

    @property
    def needed(self) -> int:
        """What all instances take."""
        return self.instances * self.each

    @property
    def granted(self) -> int:
        """What PostgreSQL grants to ordinary roles."""
        return self.max_connections - self.reserved

    @property
    def pool_size_max(self) -> int:
        """The largest pool that fits beside the others; below 1: none does."""
        return (self.granted - self.others) // self.instances - EXTRA

    def describe(self) -> str:
        """The sum, for the log."""
        what = f"{EXTRA} direct" if self.pooled else f"pool {self.pool_size} + {EXTRA}"
        return (
            f"{self.needed} connections ({self.instances} x ({what})) of {self.granted}"
            f" (max_connections {self.max_connections} - {self.reserved} reserved), {self.others} used by others"
        )

    def check(self) -> None:
        """Raises SettingsError for a sum that can never work, however few connections the others hold."""
        if self.needed <= self.granted:
            return
        size = self.granted // self.instances - EXTRA
        smaller = f"start with DB_POOL_SIZE={size}, " if size > 0 and not self.pooled else ""
        raise errors.SettingsError(
            f"PostgreSQL cannot grant what this needs: {self.describe()}",
            hint=f"{smaller}raise max_connections of PostgreSQL to {self.needed + self.reserved + self.others},"
            " or put PgBouncer in between",
        )

    @property
    def tight(self) -> bool:
        """It works only while the others give connections back."""
        return self.needed + self.others > self.granted


async def read_budget(dsn: str, pool_size: int, instances: int = 1) -> Budget:
    """The facts of the server behind `dsn`. Raises StoreUnavailable, AccessDenied."""
    try:
        async with await AsyncConnection.connect(
            dsn, autocommit=True, connect_timeout=5, application_name="queen-admin", prepare_threshold=None
        ) as connection:
            row = await (await connection.execute(_FACTS)).fetchone()
            assert row is not None, "an aggregate returns one row"
            pid, most, reserved, others, queens = (int(value) for value in row)
            pooled = pid != connection.info.backend_pid
    except psycopg.Error as error:
        raise translate(error) or errors.QueenError(str(error)) from error
    # Connections of instances that are counted are part of the sum already.
    return Budget(pool_size, instances, most, reserved, others + (queens if instances == 1 else 0), pooled)


def remedy(budget: Budget | None, pool_size: int, timeout_ms: int, waiting: int) -> str:
    """What to do about requests that wait in vain for one of `pool_size` connections, `waiting` of them just now."""
    longer_ms = min(_TIMEOUT_MS_MAX, max(10_000, 2 * timeout_ms))
    wanted = min(_POOL_SIZE_MAX, pool_size + min(pool_size, max(waiting, math.ceil(pool_size / 4))))
    fitting = wanted if budget is None or budget.pooled else min(wanted, budget.pool_size_max)
    if fitting > pool_size:
        return f"start it with more: DB_POOL_SIZE={fitting} DB_CONNECTION_TIMEOUT={longer_ms} queen serve"
    if budget is None or budget.pooled:
        return f"wait longer: DB_CONNECTION_TIMEOUT={longer_ms} queen serve; find out what keeps the database busy"
    return (
        f"more connections would make it worse: PostgreSQL grants {budget.granted}, {budget.others} are used by others,"
        f" and {budget.instances} x ({pool_size} + {EXTRA}) by Queen, so that new ones would be refused;"
        " find out what keeps the database busy, raise max_connections, or put PgBouncer in between"
    )
