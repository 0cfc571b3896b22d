"""The memory budget: what large requests and answers hold is counted against it, and refused before it is taken.

    budget = engine.memory_bytes_max − what the process held at its start
        ├── half: requests (bodies while they come in, pushes until they are answered)
        ├── a quarter: answers of pops until they are written
        └── a quarter: one operation of the database each way, and what the allocator keeps

Two lines of defence. The first counts, by the factors below. The second samples the resident memory while a budget is
set: near the limit no new large request is taken, and what the allocator and idle connections keep is given back.

Knows no HTTP. Acks, polls and the first request of all are never refused here.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from queen import errors
from queen.engine.mode import operation_bytes_max
from queen.settings import EngineSettings

log = logging.getLogger(__name__)

REQUEST_FACTOR: Final = 3
"""Bytes counted for each byte of a pushed body, from its arrival to its answer. Measured with bodies of 8 MB and a
locked table: 1.0 while a body comes in and while its payload waits, 3.1 in the flush, with the parameter and the copy
that libpq makes of it; and 1.0 stays behind in the buffer of the connection that carried it, until that is renewed."""

ANSWER_FACTOR: Final = 2
"""Bytes held for each byte of payload in a pop's answer: payloads, and the pieces on their way to the socket."""

SAMPLE_S: Final = 0.1

_MIB = 1 << 20
_USABLE_MIN = 32 * _MIB
_OPERATION_SHARE = 24
_BODY_SHARE = 8
_ANSWER_MIN = 64 << 10
_HIGH, _LOW = 0.78, 0.65
_RENEW_EVERY_S = 0.5
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_DECAY = 8


class Memory:
    """Counts what requests and answers hold. All sizes are bytes; `limit` is for the process, `usable` for both."""

    def __init__(self, settings: EngineSettings) -> None:
        self.watched = settings.memory_bytes_max is not None
        self.limit = settings.memory_bytes_max or machine_bytes() // 2
        self.usable = max(self.limit - rss_bytes(), _USABLE_MIN)
        self.requests = 0
        self.answers = 0
        self.refused = 0
        self.peak = 0
        """The most that was counted at an admission, or when `note_peak` was called."""
        self.closed = False
        self.closings = 0
        self._requests_max = self.usable // 2
        self._answers_max = self.usable // 4
        self._answer = settings.pop_bytes_max // 4 if self.watched else 0
        self._renewed_at = 0.0
        if self.watched:
            _return_large_blocks()

    def fitted(self, settings: EngineSettings) -> EngineSettings:
        """The settings with no operation of the database larger than the budget allows."""
        most = self.usable // _OPERATION_SHARE
        return replace(
            settings,
            push_bytes_max=min(operation_bytes_max(settings), most),
            pop_bytes_max=min(settings.pop_bytes_max, most),
        )

    def body_bytes_max(self, wanted: int) -> int:
        """The largest body that can be taken at all."""
        return min(wanted, self.usable // _BODY_SHARE)

    @property
    def used(self) -> int:
        """What is counted just now."""
        return self.requests + self.answers

    def has_room(self, size: int) -> bool:
        """May a request take `size` more? The first one may, whatever its size."""
        if not self.requests:
            return True
        return not self.closed and self.requests + size <= self._requests_max

    def admit(self, size: int) -> None:
        """Count `size` for a request until `release`. Raises Overloaded when there is no room."""
        if not self.has_room(size):
            self.refused += 1
            raise errors.Overloaded(
                f"the memory budget of {self.limit} bytes is used up by requests that wait for the database",
                hint="send slower, or raise engine.memory_bytes_max (--max-memory)",
            )
        self.requests += size
        if self.used > self.peak:
            self.peak = self.used

    def note_peak(self) -> None:
        """Look at what is counted just now; what comes and goes between two looks is not seen."""
        self.peak = max(self.peak, self.used)

    def release(self, size: int) -> None:
        """A request needs its bytes no longer."""
        self.requests -= size

    def admit_pop(self) -> None:
        """Raises Overloaded when too much of earlier answers is not written yet."""
        if self.answers > self._answers_max:
            self.refused += 1
            raise errors.Overloaded(
                f"{self.answers} bytes of answers are not read yet",
                hint="read answers faster, ask for smaller batches, or raise engine.memory_bytes_max (--max-memory)",
            )

    @contextlib.contextmanager
    def reserved_answer(self, wanted: int) -> Iterator[int]:
        """Count an answer of up to `wanted` bytes while it is read; yields how large it may be, if there is less room.

        Raises Overloaded as `admit_pop` does.
        """
        self.admit_pop()
        room = max((self._answers_max - self.answers) // ANSWER_FACTOR, _ANSWER_MIN)
        held = min(wanted, room) * ANSWER_FACTOR
        self.answers += held
        try:
            yield min(wanted, room)
        finally:
            self.answers -= held

    def answered(self, size: int, partitions: int) -> None:
        """An answer of this size is made: what is expected of the next ones follows, quickly up, slowly down."""
        self._answer = max(size // partitions, self._answer - self._answer // _DECAY)

    def partitions_per_call(self, bytes_max: int) -> int:
        """How many partitions one call may ask for messages: each brings one at least, however large."""
        room = max(self._answers_max - self.answers, 0) // ANSWER_FACTOR
        return max(1, min(bytes_max, room) // max(self._answer, 1))

    async def sample(self, renew: Callable[[], Awaitable[None]]) -> None:
        """Look at the resident memory: close the gate near the limit, and open it below. `renew` replaces idle
        connections, whose buffers never shrink."""
        now = rss_bytes()
        if now > self.limit * _LOW:
            _trim()
            now = rss_bytes()
            if now > self.limit * _LOW and time.monotonic() - self._renewed_at > _RENEW_EVERY_S:
                self._renewed_at = time.monotonic()
                await renew()
        if now > self.limit * _HIGH and not self.closed:
            self.closed = True
            self.closings += 1
            log.warning("memory is nearly used up rss=%d limit=%d counted=%d", now, self.limit, self.used)
        elif now < self.limit * _LOW:
            self.closed = False


def rss_bytes() -> int:
    """Resident memory now; where /proc is missing, its highest value so far."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def machine_bytes() -> int:
    """Memory of the machine, or of the control group when that has less."""
    sizes = [os.sysconf("SC_PAGESIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _CGROUP_LIMITS:
        try:
            text = Path(name).read_text("ascii").strip()
        except (OSError, ValueError):
            continue
        if text.isdigit():
            sizes.append(int(text))
    return min(sizes)


def _return_large_blocks() -> None:
    """Have the C library give blocks of 256 KiB and more back as soon as they are free, instead of keeping them."""
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _MIB // 4)
        libc.mallopt(_M_TRIM_THRESHOLD, 4 * _MIB)
    except (OSError, AttributeError):
        return  # Not glibc: the sampler alone keeps the budget.


def _trim() -> None:
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return
