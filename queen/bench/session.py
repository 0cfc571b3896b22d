"""The running crew as the phases see it: reports go to the ledger and the collector, and what they wait for is here.

One task reads all reports. A worker in trouble ends the run; what was measured until then stays. Knows no phase.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from queen.bench.collect import Collector
from queen.bench.ledger import Ledger
from queen.bench.orders import Bye, Finish, Order, Quiet, Ready, Records, Report, Slice, Trouble
from queen.errors import NotQueen, QueenError, ServerUnreachable

_POLL_S = 0.05
_FOLLOW_S = 0.3


class CrewLike(Protocol):
    """What is used of `crew.Crew`."""

    async def send(self, order: Order, worker: int | None = None) -> None: ...
    def reports(self) -> AsyncIterator[Report]: ...


class Interrupted(Exception):
    """The user asked the run to end; what was measured is kept."""


class Session:
    """Feeds on a crew until it has ended. `stop` is set when the user wants the run to end."""

    def __init__(self, crew: CrewLike, workers: int, ledger: Ledger, collector: Collector, stop: asyncio.Event) -> None:
        self._crew = crew
        self._workers = workers
        self.ledger, self.collector = ledger, collector
        self._stop = stop
        self._ready: set[int] = set()
        self._quiet: dict[str, set[int]] = {"produce": set(), "consume": set()}
        self._gone: set[int] = set()
        self.trouble: Trouble | None = None

    async def pump(self) -> None:
        """Read reports until the crew has ended; run it as a task."""
        followed_at = 0.0
        async for report in self._crew.reports():
            self._take(report)
            if time.monotonic() - followed_at >= _FOLLOW_S:
                self.ledger.follow()
                followed_at = time.monotonic()

    def _take(self, report: Report) -> None:
        match report:
            case Slice():
                self.collector.take(report)
            case Records():
                self.ledger.feed(report)
            case Ready():
                self._ready.add(report.worker)
            case Quiet():
                self._quiet.setdefault(report.what, set()).add(report.worker)
            case Trouble():
                self.trouble = self.trouble or report
                self._leave(report.worker)
            case Bye():
                self._leave(report.worker)

    def _leave(self, worker: int) -> None:
        self._gone.add(worker)
        self.collector.leave(worker)
        self.ledger.leave(worker)

    async def send(self, order: Order, worker: int | None = None) -> None:
        await self._crew.send(order, worker)

    async def ready(self, timeout_s: float) -> None:
        """Until every worker has connected. Raises like `until`, and ServerUnreachable after the time."""
        if not await self.until(lambda: len(self._ready) >= self._workers, timeout_s):
            raise ServerUnreachable(f"the load generator could not connect within {timeout_s:.0f} s")

    async def quiet(self, what: str, timeout_s: float) -> bool:
        """Until no worker has anything of this kind under way; False when the time is over."""
        return await self.until(lambda: len(self._quiet[what] | self._gone) >= self._workers, timeout_s)

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition; False when the time is over. Raises Interrupted, or the error of a worker's trouble."""
        ends_at = time.monotonic() + timeout_s
        while not condition():
            self.check()
            if time.monotonic() >= ends_at:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def pause(self, seconds: float) -> None:
        """Let time pass. Raises like `until`."""
        await self.until(lambda: False, seconds)

    def check(self) -> None:
        """Raises Interrupted, or the error of a worker's trouble."""
        if self._stop.is_set():
            raise Interrupted
        if self.trouble is not None:
            raise error_of(self.trouble)

    async def finish(self, timeout_s: float) -> None:
        """Let the workers report what is left and end. Looks at no wish to stop: it is what a stop leads to."""
        await self.send(Finish())
        ends_at = time.monotonic() + timeout_s
        while len(self._gone) < self._workers:
            if time.monotonic() >= ends_at:
                return
            await asyncio.sleep(_POLL_S)


def error_of(trouble: Trouble) -> QueenError:
    """The error that a worker's trouble is for the user."""
    kinds: dict[str, type[QueenError]] = {"unreachable": ServerUnreachable, "not_queen": NotQueen}
    return kinds.get(trouble.kind, QueenError)(f"the load generator cannot go on: {trouble.message}")
