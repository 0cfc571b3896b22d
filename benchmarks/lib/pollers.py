"""The processes that hold parked polls, seen from the command: started, ordered, ended.

It speaks the lines of parked.py and knows nothing of what is measured meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
import time
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from benchmarks.lib.facts import REPOSITORY
from benchmarks.lib.parked import PARKED_EVENTS, Parked, ParkedEvent, ParkedPlan, PollCounters, Woken
from benchmarks.lib.plan import Failed

E = TypeVar("E", Parked, PollCounters, Woken)


class PollersFailed(Exception):
    """A process of polls gave up; the text says why."""


class Pollers:
    """Use as a context manager: the processes end with the block."""

    def __init__(self, plans: list[ParkedPlan]) -> None:
        self._plans = plans
        self._processes: list[subprocess.Popen[bytes]] = []
        self.polls = sum(plan.polls for plan in plans)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def park(self, timeout_s: float) -> float:
        """Starts all and waits until every poll is under way; returns the seconds it took. Raises PollersFailed."""
        clock = time.monotonic()
        for plan in self._plans:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.lib.parked"],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            self._processes.append(process)
            self._write(process, msgspec.json.encode(plan))
        for process in self._processes:
            self._expect(process, Parked)
        if time.monotonic() - clock > timeout_s:
            raise PollersFailed(f"parking took longer than {timeout_s:.0f} s")
        return time.monotonic() - clock

    def read(self) -> PollCounters:
        """The sums over all processes. Raises PollersFailed."""
        all_counters = self._order(b"read", PollCounters)
        return PollCounters(
            sum(one.renewed for one in all_counters),
            sum(one.messages for one in all_counters),
            sum(one.cpu_s for one in all_counters),
        )

    def wake(self) -> list[Woken]:
        """One process after the other, so that one push is under way at a time. Raises PollersFailed."""
        return [self._ask(process, b"wake", Woken) for process in self._processes]

    def _order(self, order: bytes, kind: type[E]) -> list[E]:
        return [self._ask(process, order, kind) for process in self._processes]

    def _ask(self, process: subprocess.Popen[bytes], order: bytes, kind: type[E]) -> E:
        self._write(process, order)
        return self._expect(process, kind)

    def _write(self, process: subprocess.Popen[bytes], line: bytes) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(line + b"\n")
            process.stdin.flush()
        except BrokenPipeError as error:
            raise PollersFailed(self._last_words(process)) from error

    def _expect(self, process: subprocess.Popen[bytes], kind: type[E]) -> E:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise PollersFailed("a process of polls ended without a word")
        event: ParkedEvent = PARKED_EVENTS.decode(line)
        if isinstance(event, Failed):
            raise PollersFailed(event.message)
        if not isinstance(event, kind):
            raise PollersFailed(f"a process of polls said {event!r}")
        return event

    def _last_words(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None
        line = process.stdout.readline()
        event = PARKED_EVENTS.decode(line) if line else None
        return event.message if isinstance(event, Failed) else "a process of polls ended"
