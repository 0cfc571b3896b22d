"""Takes samples of the other side until it is told to stop. Every sample belongs to a second of the monotonic clock.

It costs a small GET a server and second, and on one session of PostgreSQL about sixteen short statements a second
(`statements` of `postgres_side` counts them; they are taken out of its commits). What is away is a gap.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Self

from queen.bench.observe import metrics, sides
from queen.bench.observe.columns import Columns
from queen.bench.observe.fetch import get_json
from queen.bench.observe.local import find_postgres, read_local
from queen.bench.observe.view import message_view
from queen.bench.result import PostgresSide, ServerSide
from queen.errors import QueenError
from queen.measure.histogram import LatencyHistogram
from queen.store.probe import Probe

_TABLES_S: Final = 5.0
_WAITS_S: Final = 0.1
_SECONDS_MAX: Final = 100_000


class ServerTrack:
    """What was seen of one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.columns = Columns()
        self.inserts: list[tuple[int, metrics.Insert]] = []
        self.durability: str | None = None
        self.mode: str | None = None

    def keep(self, at_ns: int, insert: metrics.Insert) -> None:
        """One read; its bounds are kept once for as long as they stay the same."""
        if self.inserts and self.inserts[-1][1].bounds_us == insert.bounds_us:
            insert = metrics.Insert(self.inserts[-1][1].bounds_us, insert.counts)
        self.inserts.append((at_ns, insert))


class Observer:
    """An async context manager, or `start` and `stop`. `urls` of the servers; `dsn` None: PostgreSQL is not looked at;
    `server_pids` only of servers on this machine, `postgres_pid` is found by itself when PostgreSQL is here too."""

    def __init__(
        self,
        urls: Sequence[str],
        dsn: str | None = None,
        server_pids: Sequence[int] = (),
        postgres_pid: int | None = None,
        *,
        schema: str = "queen",
    ) -> None:
        self.servers = [ServerTrack(url) for url in urls]
        self.probe = Probe(dsn, schema) if dsn else None
        self.clock_zero_ns = time.perf_counter_ns()
        """Where the run's clock begins; `start` sets it, and the run may set another moment."""
        self.notes: list[str] = []
        self.local, self.postgres, self.tables = Columns(), Columns(), Columns(_TABLES_S)
        self.table_names: set[str] = set()
        self.waits: dict[int, Counter[str]] = {}
        """By second of the monotonic clock."""
        self.samplings: Counter[int] = Counter()
        self._server_pids, self._postgres_pid, self._given = list(server_pids), postgres_pid, postgres_pid
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begin. A PostgreSQL that cannot be looked at is a note, not an error."""
        self.clock_zero_ns = time.perf_counter_ns()
        if self.probe is not None:
            try:
                await self.probe.connect()
            except QueenError as error:
                self.notes.append(f"PostgreSQL could not be observed at first: {error.message}")
        works: list[tuple[Callable[[int], Awaitable[None]], float]] = [(self._see_local, 1.0)]
        works += [(self._seer(track), 1.0) for track in self.servers]
        if self.probe is not None:
            works += [(self._see_postgres, 1.0), (self._see_tables, _TABLES_S), (self._see_waits, _WAITS_S)]
        await self._see_all_once()
        self._tasks = [asyncio.create_task(_ticks(work, every_s)) for work, every_s in works]

    async def stop(self) -> None:
        """Take the last samples and end. May be called again."""
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        for done in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(done, Exception):
                self.notes.append(f"observing ended early: {done!r}")
        await self._see_all_once()
        if self.probe is not None:
            if self.probe.breaks:
                self.notes.append(f"the session that observed PostgreSQL broke {self.probe.breaks} times")
            await self.probe.close()
        if any(columns.full for columns in (self.local, self.postgres)):
            self.notes.append("the run was longer than what is kept of the other side")

    def follow(self, server_pids: Sequence[int], postgres_pid: int | None = None) -> None:
        """The processes are others now, after a restart."""
        self._server_pids, self._postgres_pid, self._given = list(server_pids), postgres_pid, postgres_pid

    def series(
        self, clock_zero_ns: int | None = None, seconds: int | None = None
    ) -> tuple[dict[str, list[float | None]], dict[str, list[int]]]:
        """(values by name, samples of wait events by event), one a second from the second of the clock's zero on; as
        many as there were, or exactly `seconds`."""
        return sides.series(self, clock_zero_ns or self.clock_zero_ns, seconds)

    def server_side(self, from_s: float, to_s: float) -> ServerSide:
        """The servers between two seconds of the run's clock."""
        return sides.server_side(self, *self._span(from_s, to_s))

    def postgres_side(self, from_s: float, to_s: float) -> PostgresSide | None:
        """PostgreSQL between two seconds of the run's clock; None when it was not looked at."""
        return None if self.probe is None else sides.postgres_side(self, *self._span(from_s, to_s))

    def insert(self, from_s: float, to_s: float) -> LatencyHistogram | None:
        """Insert latencies of all servers between two seconds of the run's clock; None when not known."""
        return sides.insert_between(self.servers, *self._span(from_s, to_s))

    def mean(self, name: str, from_s: float, to_s: float) -> float | None:
        """The average of one of the series between two seconds of the run's clock."""
        values = self.series()[0].get(name, [])[int(from_s) : max(int(to_s), int(from_s) + 1)]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    async def view(self, queue: str, partition: str, transaction_id: str) -> str:
        """What the server knows of one message, in a line. Works after `stop`, too."""
        url = self.servers[0].url if self.servers else None
        return await message_view(self.probe, url, queue, partition, transaction_id)

    def _span(self, from_s: float, to_s: float) -> tuple[int, int]:
        return self.clock_zero_ns + int(from_s * 1e9), self.clock_zero_ns + int(to_s * 1e9)

    async def _see_all_once(self) -> None:
        now = time.perf_counter_ns()
        await self._see_local(now)
        await asyncio.gather(*(self._seer(track)(now) for track in self.servers))
        if self.probe is not None:
            await self._see_postgres(now)
            await self._see_tables(now)

    async def _see_local(self, _: int) -> None:
        if self._given is None:
            backend = self.probe.backend_pid() if self.probe else None
            self._postgres_pid = await asyncio.to_thread(find_postgres, self._server_pids, backend)
        values = await asyncio.to_thread(read_local, self._server_pids, self._postgres_pid)
        self.local.append(time.perf_counter_ns(), values)

    def _seer(self, track: ServerTrack) -> Callable[[int], Awaitable[None]]:
        async def see(_: int) -> None:
            answer = await get_json(track.url, "/metrics")
            figures = metrics.flatten(answer)
            now = time.perf_counter_ns()
            if figures is None:
                return
            track.columns.append(now, figures)
            _note_words(track, answer)
            insert = metrics.insert_of(answer)
            if insert is not None and not track.columns.full:
                track.keep(now, insert)

        return see

    async def _see_postgres(self, _: int) -> None:
        assert self.probe is not None
        found = await self.probe.counters()
        if found is not None:
            # The session's own statements, so that they can be taken out.
            found["observer_statements"] = float(self.probe.statements)
            self.postgres.append(time.perf_counter_ns(), found)

    async def _see_tables(self, _: int) -> None:
        assert self.probe is not None
        found = await self.probe.tables()
        if found is not None:
            self.table_names |= found.keys()
            flat = {f"{table}.{name}": value for table, row in found.items() for name, value in row.items()}
            self.tables.append(time.perf_counter_ns(), flat)

    async def _see_waits(self, at_ns: int) -> None:
        assert self.probe is not None
        found = await self.probe.waits()
        second = at_ns // 1_000_000_000
        if found is not None and (second in self.waits or len(self.waits) < _SECONDS_MAX):
            self.waits.setdefault(second, Counter()).update(found)
            self.samplings[second] += 1


def _note_words(track: ServerTrack, answer: dict[str, Any]) -> None:
    durability, mode = answer.get("durability"), answer.get("mode")
    track.durability = str(durability) if durability else track.durability
    track.mode = str(mode) if mode else track.mode


async def _ticks(work: Callable[[int], Awaitable[None]], every_s: float) -> None:
    """Call `work` at whole multiples of `every_s` of the monotonic clock; a tick that comes too late is left out."""
    every_ns = int(every_s * 1e9)
    with suppress(asyncio.CancelledError):
        while True:
            now = time.perf_counter_ns()
            due = (now // every_ns + 1) * every_ns
            await asyncio.sleep((due - now) / 1e9)
            await work(due)
