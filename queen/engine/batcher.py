"""Gathers small requests into few database calls. The one clever place of the engine.

Every entry has a key (a partition, a cursor) and a weight. The rules:

1. At most `flushes_max` flushes are in flight. While one is free, an entry leaves in the same turn of the event loop
   in which it came, together with all others of that turn; when none is free, entries gather. So latency is one
   database call when idle, and batches grow by themselves under load.
2. A key is in at most one flush at a time. Entries of one key leave in the order they came: order of arrival is kept,
   and two flushes never wait for each other's row locks.
3. A flush takes keys in the order in which they became free, up to `weight_max` and `bytes_max`. An entry that is
   larger by itself leaves alone.
4. With `merge`, several entries of one key may share a flush; without, the second waits for the first.
5. `hold_until` lets entries gather for a moment before the next flush, although one is free.

States of a key: idle (in no structure) → open (in `_open`, entries in `_lines`) → busy (in `_busy`; new entries
gather in `_lines`) → open again or idle. A flush that cannot finish with some of its keys returns them as *kept*: they
stay busy until `release` is called, and nobody else waits for them.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Hashable
from functools import partial
from typing import Generic, Protocol, TypeVar

from queen import errors
from queen.engine.events import Ring
from queen.measure.buckets import Buckets

log = logging.getLogger(__name__)


class Entry(Protocol):
    """One piece of a request that goes into a flush as a whole."""

    key: Hashable
    weight: int
    size: int

    def fail(self, error: errors.QueenError) -> None:
        """The flush did not happen; say so to whoever waits."""


E = TypeVar("E", bound=Entry)


class Batcher(Generic[E]):
    """See the module's essay. `flush` settles each entry and returns the keys it keeps.

    `weights` counts the flushes by their weight (without `merge`: by their entries), `flush_us` those that ended well
    by the microseconds they took.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[list[E]], Awaitable[Collection[Hashable]]],
        *,
        flushes_max: int,
        weight_max: int,
        bytes_max: int,
        merge: bool,
    ) -> None:
        self.name = name
        self.weights = Buckets()
        self.flush_us = Buckets()
        self._flush = flush
        self._free = flushes_max
        self._weight_max = weight_max
        self._bytes_max = bytes_max
        self._merge = merge
        self._lines: dict[Hashable, list[E]] = {}
        self._open: dict[Hashable, None] = {}
        self._busy: set[Hashable] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._not_before = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._slow_us = sys.maxsize
        self._slow = Ring()

    def submit(self, entry: E) -> None:
        """Put an entry in line. It is settled by a flush, or by `fail`."""
        line = self._lines.get(entry.key)
        if line is not None:
            line.append(entry)
            return
        self._lines[entry.key] = [entry]
        if entry.key not in self._busy:
            self._open[entry.key] = None
            self._schedule()

    def release(self, key: Hashable) -> None:
        """A kept key is free again."""
        self._busy.discard(key)
        if key in self._lines:
            self._open[key] = None
            self._schedule()
        self._check_idle()

    def watch(self, slow_us: int, ring: Ring) -> None:
        """Note flushes that take so many microseconds or more, whether they end well or not."""
        self._slow_us, self._slow = slow_us, ring

    def hold_until(self, not_before: float) -> None:
        """Begin no flush before this moment of the loop's time."""
        self._not_before = not_before

    async def drain(self) -> None:
        """Wait until nothing is in line or in flight."""
        self._check_idle()
        await self._idle.wait()

    def abandon(self, error: errors.QueenError) -> None:
        """Fail all that is still in line, and cancel what is in flight."""
        for line in self._lines.values():
            for entry in line:
                entry.fail(error)
        self._lines.clear()
        self._open.clear()
        for task in self._tasks:
            task.cancel()

    @property
    def flushes(self) -> int:
        """Flushes that were started."""
        return self.weights.count

    @property
    def waiting(self) -> int:
        """Keys with entries that no flush has taken yet."""
        return len(self._lines)

    def _schedule(self) -> None:
        self._idle.clear()
        if self._free > 0 and not self._scheduled:
            self._scheduled = True
            if self._not_before > self._loop.time():
                self._loop.call_at(self._not_before, self._start)
            else:
                self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._scheduled = False
        while self._free > 0 and self._open:
            self._free -= 1
            batch = self._take()
            task = self._loop.create_task(self._run(batch))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, batch))

    def _take(self) -> list[E]:
        batch: list[E] = []
        weight = size = 0
        while self._open:
            key = next(iter(self._open))
            line = self._lines[key]
            taken = 0
            for entry in line:
                if batch and (weight + entry.weight > self._weight_max or size + entry.size > self._bytes_max):
                    break
                batch.append(entry)
                weight += entry.weight
                size += entry.size
                taken += 1
                if not self._merge:
                    break
            if not taken:
                break
            del self._open[key]
            self._busy.add(key)
            if taken == len(line):
                del self._lines[key]
            else:
                del line[:taken]
        # Pops weigh more when large messages are expected; how many there are is what tells something.
        self.weights.record(weight if self._merge else len(batch))
        return batch

    async def _run(self, batch: list[E]) -> None:
        keys = {entry.key for entry in batch}
        kept: Collection[Hashable] = ()
        started_ns = time.perf_counter_ns()
        try:
            kept = await self._flush(batch)
            took_us = (time.perf_counter_ns() - started_ns) // 1000
            self.flush_us.record(took_us)
            if took_us >= self._slow_us:
                self._note_slow(batch, took_us, "slow")
        except errors.QueenError as error:
            took_us = (time.perf_counter_ns() - started_ns) // 1000
            if took_us >= self._slow_us:
                self._note_slow(batch, took_us, error.code)
            _fail(batch, error)
        except asyncio.CancelledError:
            _fail(batch, errors.ShuttingDown("the server is stopping"))
        except Exception:
            log.exception("flush failed batcher=%s entries=%d", self.name, len(batch))
            _fail(batch, errors.QueenError("internal error; the log of the server has the details"))
        finally:
            self._let_go(keys, kept)

    def _note_slow(self, batch: list[E], took_us: int, kind: str) -> None:
        self._slow.note(self.name, kind, ms=took_us // 1000, entries=sum(entry.weight for entry in batch))

    def _let_go(self, keys: set[Hashable], kept: Collection[Hashable]) -> None:
        """A flush is over: its keys are free, but for those it keeps."""
        self._free += 1
        for key in keys:
            if key not in kept:
                self._busy.discard(key)
                if key in self._lines:
                    self._open[key] = None
        if self._open:
            self._schedule()
        self._check_idle()

    def _ended(self, batch: list[E], task: asyncio.Task[None]) -> None:
        """`_run` settles its entries also when it is cancelled, unless that happens before its first step."""
        self._tasks.discard(task)
        if task.cancelled():
            _fail(batch, errors.ShuttingDown("the server is stopping"))
            self._let_go({entry.key for entry in batch}, ())

    def _check_idle(self) -> None:
        if not self._lines and not self._busy:
            self._idle.set()


def _fail(batch: Collection[Entry], error: errors.QueenError) -> None:
    for entry in batch:
        entry.fail(error)
