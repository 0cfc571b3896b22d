"""Connections of the data plane: psycopg_pool under a thin manager.

A connection is taken for one call and given back on every path; it is autocommit, so that no transaction stays open
while anything outside the database is awaited. psycopg_pool keeps the connections: it makes, ages and closes them.
The manager has what it lacks: a line in order that can be sent away (`line`), a deadline that closes (`link`), a gate
with one prober while the database is away (`outage`), and a memory of what went wrong (`history`).
It knows nothing of what is executed on a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import weakref
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import psycopg_pool
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from queen import errors
from queen.measure.buckets import Buckets
from queen.measure.minutes import ByMinute, Minutes
from queen.settings import DatabaseSettings
from queen.store import arrays, history
from queen.store.budget import Budget, remedy
from queen.store.history import History
from queen.store.line import Dismissed, Expired, Full, Line
from queen.store.link import IDLE_DEADLINE_S, Link, Stopper
from queen.store.outage import Outage
from queen.store.translate import translate

log = logging.getLogger(__name__)

Connection = AsyncConnection[tuple[object, ...]]


COMMITTED = "committed"

_LONG_WAIT_S = 0.1
_SLOW_S = 1.0
_PROBE_S = 2
_GRACE_S = 0.5
"""PostgreSQL may end a statement by its own clock first; then the connection lives on."""
_NAME = "queen"
_CALLED = re.compile(r"\.\"?(\w+)\"?\(")

Work = str | bytes
"""What a connection is wanted for: a word, or the call of a function, of which the name is read when it is needed."""

# In the words of http-api.md §2.1: a commit may come back before it is on disk (async), or after a standby has it too.
# The second line of the deadline is set only where the session is ours: behind a transaction pooler the process id of
# the handshake is an invented one, and a setting would stay behind for the next client.
_GREETING = """
select case when current_setting('synchronous_commit') = 'off' or current_setting('fsync') = 'off' then 'async'
            when current_setting('synchronous_commit') <> 'local'
                 and current_setting('synchronous_standby_names') <> '' then 'replicated'
            else 'committed' end,
       pg_backend_pid(),
       case when pg_backend_pid() = %s and %s > 0 then set_config('statement_timeout', %s::text, false) end
"""


class Pool:
    """A bounded pool of connections to one database. `budget` improves the advice that goes with a time-out."""

    def __init__(self, dsn: str, settings: DatabaseSettings, budget: Budget | None = None) -> None:
        self._dsn = dsn
        self._settings = settings
        self.budget = budget
        self._checking: asyncio.Task[None] | None = None
        self.durability = COMMITTED
        self.pooled = False
        self.waits = Buckets()
        self.holds = Buckets()
        """Microseconds that connections were held, one number a call."""
        self.peak = 0
        """Most connections in use at once since the start."""
        self._peak_lately = 0
        self._peaks = Minutes()
        self._history = History()
        self._line = Line(settings.pool_size, settings.pool_waiting_max)
        self._timeout_s = settings.connection_timeout_ms / 1000
        timeout_s = settings.statement_timeout_ms / 1000
        self._deadline_s = timeout_s + _GRACE_S if timeout_s else 0.0
        self._obtaining: set[asyncio.Timeout] = set()
        self._links: weakref.WeakSet[Link] = weakref.WeakSet()
        self._stopper = Stopper()
        self._outage = Outage(self._probe, settings.reconnect_ms_max / 1000, self._went_away, self._came_back)
        self._pool: AsyncConnectionPool[Link] = AsyncConnectionPool(
            self._address,
            connection_class=Link,
            min_size=min(4, settings.pool_size),
            max_size=settings.pool_size,
            max_lifetime=settings.connection_age_ms_max / 1000,
            max_idle=settings.connection_idle_ms_max / 1000,
            # Its own attempts to come back grow to long pauses: it gives up at once, and the gate takes over.
            reconnect_timeout=0,
            reconnect_failed=self._could_not_connect,
            open=False,
            configure=self._configure,
            kwargs={"autocommit": True, "prepare_threshold": 0, "application_name": "queen", "connect_timeout": 5},
            name=_NAME,
        )

    async def open(self) -> None:
        """Start filling the pool; does not wait for the first connection."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection; calls that wait for one fail."""
        await self._outage.close()
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
        self._line.dismiss()
        await self._pool.close(timeout=5)
        await self._stopper.close()

    @contextlib.asynccontextmanager
    async def connection(self, work: Work = "") -> AsyncIterator[Connection]:
        """One connection for one call, with a deadline around each wait for the server. `work`: what it is for.

        Raises PoolTimeout when none gets free in time, Overloaded when too many wait, StoreUnavailable at once while
        the database is away, and for what goes wrong inside the Queen error that `translate` names.
        """
        link = await self._take(work)
        try:
            yield link
        except (psycopg.Error, OSError) as error:
            raise self._failure(link, error, work) from error
        finally:
            await self._give_back(link, work)

    async def _take(self, work: Work) -> Link:
        if self._outage.away:
            raise self._outage.refusal()
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        if not self._line.enter():
            await self._stand_in_line(work)
        try:
            link = await self._obtain(began_at, work)
        except BaseException:
            self._line.leave()
            raise
        link.deadline_s = self._deadline_s
        link.taken_at = loop.time()
        waited_s = link.taken_at - began_at
        self.waits.record(int(waited_s * 1_000_000))
        in_use = self._settings.pool_size - self._line.free
        if in_use > self._peak_lately:
            self._peak_lately = in_use
            self.peak = max(self.peak, in_use)
        if waited_s > _LONG_WAIT_S:
            self._note(history.LONG_WAIT, waited_s, work=work)
        return link

    async def _stand_in_line(self, work: Work) -> None:
        try:
            await self._line.wait(self._timeout_s)
        except Full:
            self._note(history.REFUSED, 0.0, work=work)
            raise errors.Overloaded(
                f"{self._line.waiting} requests are waiting for a database connection already",
                hint=remedy(self.budget, self._settings.pool_size, self._settings.connection_timeout_ms, 1 << 30)
                + "; database.pool_waiting_max allows a longer line",
            ) from None
        except Dismissed:
            raise self._dismissal() from None
        except Expired:
            raise self._timed_out(self._timeout_s, work) from None

    async def _obtain(self, began_at: float, work: Work) -> Link:
        """A connection for whoever has a place: an idle one, or one that is being made."""
        left_s = self._timeout_s - (asyncio.get_running_loop().time() - began_at)
        try:
            async with asyncio.timeout(None) as scope:
                self._obtaining.add(scope)
                try:
                    # A place that came in the last moment is worth a try.
                    link = await self._pool.getconn(max(left_s, 0.01))
                    return link if not link.ended() else await self._another(link, max(left_s, 0.01))
                finally:
                    self._obtaining.discard(scope)
        except psycopg_pool.PoolTimeout:
            raise self._timed_out(asyncio.get_running_loop().time() - began_at, work) from None
        except (TimeoutError, psycopg_pool.PoolClosed):
            raise self._dismissal() from None

    async def _another(self, link: Link, left_s: float) -> Link:
        """Nothing was sent on a connection that broke while it was idle: take the next one instead."""
        ends_at = asyncio.get_running_loop().time() + left_s
        while True:
            self._note(history.LOST, 0.0, "while idle")
            await link.close()
            await self._pool.putconn(link)
            link = await self._pool.getconn(max(ends_at - asyncio.get_running_loop().time(), 0.01))
            if not link.ended():
                return link

    async def _give_back(self, link: Link, work: Work) -> None:
        held_s = asyncio.get_running_loop().time() - link.taken_at
        self.holds.record(int(held_s * 1_000_000))
        link.deadline_s = IDLE_DEADLINE_S
        try:
            await self._pool.putconn(link)
        finally:
            self._line.leave()
        if held_s > _SLOW_S:
            self._note(history.SLOW, held_s, work=work)

    def _dismissal(self) -> errors.QueenError:
        if self._outage.away:
            return self._outage.refusal()
        return errors.ShuttingDown("the server is stopping", hint="send the request to another instance")

    def _timed_out(self, waited_s: float, work: Work) -> errors.PoolTimeout:
        self._note(history.TIMEOUT, waited_s, work=work)
        size, timeout_ms = self._settings.pool_size, self._settings.connection_timeout_ms
        waiting = self._line.waiting
        return errors.PoolTimeout(
            f"timeout exceeded when trying to connect: none of the {size} connections of the pool {_NAME!r} was free"
            f" for {waited_s:.2f} s ({waiting} more requests wait)",
            hint=remedy(self.budget, size, timeout_ms, waiting + 1),
        )

    def _failure(self, link: Link, error: Exception, work: Work) -> errors.QueenError:
        """The error of a call that was sent. A connection that broke makes the others suspect."""
        if link.overran:
            self._note(history.OVERRUN, self._deadline_s, work=work)
            self._check()
            return errors.StoreUnavailable(
                f"PostgreSQL did not answer within {self._deadline_s:.1f} s; the connection was closed",
                hint="database.statement_timeout_ms is the bound; look for locks and a server that stands still",
                unknown=True,
            )
        if link.closed:
            self._note(history.LOST, asyncio.get_running_loop().time() - link.taken_at, work=work)
            self._check()
        return translate(error) or errors.QueenError(str(error))

    async def renew(self) -> None:
        """Replace the idle connections by fresh ones, and the others when they come back."""
        await self._pool.drain()

    def _check(self) -> None:
        """One connection broke, so the idle ones may be broken too: have them tried now, not one by one by requests."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.get_running_loop().create_task(self._try_connections())

    async def _try_connections(self) -> None:
        with contextlib.suppress(psycopg.Error, psycopg_pool.PoolClosed, OSError):
            await self._pool.check()

    async def _address(self) -> str:
        """Asked before each attempt to connect. While the database is away the prober alone tries."""
        if self._outage.away:
            raise psycopg.OperationalError("the database is away")
        return self._dsn

    async def _could_not_connect(self, _: AsyncConnectionPool[Any]) -> None:
        # A server that is full refuses one more, and still serves those it has.
        if all(link.closed for link in self._links):
            self._outage.suspect()

    async def _probe(self) -> str | None:
        try:
            link = await Link.connect(self._dsn, autocommit=True, connect_timeout=_PROBE_S, application_name="queen")
            await link.close()
            return None
        except (psycopg.Error, OSError) as error:
            return " ".join(str(error).split()) or type(error).__name__

    def _went_away(self, reason: str) -> None:
        self._note(history.OUTAGE, 0.0, reason)
        self._line.dismiss()
        now = asyncio.get_running_loop().time()
        while self._obtaining:
            self._obtaining.pop().reschedule(now)

    def _came_back(self, lasted_s: float) -> None:
        if lasted_s:
            self._note(history.BACK, lasted_s)
        self._check()

    async def _configure(self, link: Link) -> None:
        """What every new connection gets, and what it tells: how durable a commit is, and who stands in between."""
        link.stopper = self._stopper
        self._links.add(link)
        arrays.register(link)
        limit_ms = self._settings.statement_timeout_ms
        cursor = await link.execute(_GREETING, (link.info.backend_pid, limit_ms, limit_ms), prepare=False)
        row = await cursor.fetchone()
        assert row is not None, "a query without FROM returns one row"
        self.durability = str(row[0])
        pooled = row[1] != link.info.backend_pid
        if pooled and not self.pooled:
            log.warning("a transaction pooler is in between: no statement_timeout, LISTEN needs database.direct_url")
        self.pooled = pooled
        if not self.prepares:
            link.prepare_threshold = None

    def _note(self, kind: str, duration_s: float, text: str = "", work: Work = "") -> None:
        self._history.note(kind, duration_s, self.stats(), text, name_of(work))

    def history(self) -> list[dict[str, Any]]:
        """What went wrong lately, oldest first; see `queen.store.history`."""
        return self._history.events()

    @property
    def prepares(self) -> bool:
        """Are statements prepared on PostgreSQL's side? Not through a pooler, unless the settings say so."""
        wanted = self._settings.prepare_statements
        return wanted if wanted is not None else not self.pooled

    def by_minute(self) -> ByMinute:
        """How often each kind of trouble happened, by the minute of the last hour."""
        return self._history.by_minute()

    def sample_peak(self) -> None:
        """Write down the most connections in use since the last call, for `peaks`."""
        if self._peak_lately:
            self._peaks.highest("in_use", self._peak_lately)
        self._peak_lately = self._settings.pool_size - self._line.free

    def peaks(self) -> ByMinute:
        """Most connections in use at once, by the minute of the last hour; a minute in which none was is not there."""
        return self._peaks.shown()

    def totals(self) -> dict[str, int]:
        """How often each kind of trouble happened."""
        return dict(self._history.totals)

    @property
    def size_max(self) -> int:
        """Most connections."""
        return self._settings.pool_size

    def stats(self) -> dict[str, int]:
        """size, idle, waiting (requests in the line), away (1: the database is), peak; then totals: `totals()`, and
        more."""
        raw = self._pool.get_stats()
        return {
            "size": raw.get("pool_size", 0),
            "idle": raw.get("pool_available", 0),
            "waiting": self._line.waiting,
            "away": int(self._outage.away),
            "peak": self.peak,
            "connection_errors": raw.get("connections_errors", 0),
            **self._history.totals,
        }


def name_of(work: Work) -> str:
    """The word for a work: of a call the name of its function, without the number of an epoch."""
    if isinstance(work, str):
        return work
    called = _CALLED.search(work.decode("utf-8", "replace"))
    return called[1].rstrip("0123456789").rstrip("_") if called is not None else ""
