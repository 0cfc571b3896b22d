"""Open loop: messages are due at times fixed before the run, and their latency counts from then, whatever held them up.

The feeder asks `allow` when it may go on, tells with `take` which lane has the message, and `answer` measures. What is
in flight stays bounded by the lanes' inboxes. A message that becomes due while an inbox is full is sent later and
keeps its due time; it is counted as overflow. Knows neither the server nor what messages are.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from queen.cli.traffic.schedule import Arrivals, Ramp, due_times_s
from queen.measure.histogram import LatencyHistogram

_DUE_AT_ONCE_MAX = 100_000
_SPIN_S = 0.001


class OpenLoop:
    """One run's schedule and what came of it. `ends_s`: nothing is due later than this after the start."""

    def __init__(
        self,
        ramp: Ramp,
        arrivals: Arrivals,
        seed: int,
        lanes: int,
        *,
        ends_s: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._plan = {"arrivals": arrivals, "seed": seed}
        self._ramp = ramp
        self._times: Iterator[float] = due_times_s(ramp, arrivals, seed)
        self._next_s = next(self._times)
        self._ends_s = ends_s
        self._clock = clock
        self._started_at: float | None = None
        self._allowed: deque[float] = deque()
        self._in_lanes: list[deque[float]] = [deque() for _ in range(lanes)]
        self._blocked_until = -math.inf
        self._taken = 0
        self._last_due_s = 0.0
        self._behind = 0
        self.overflow = 0
        self.response = LatencyHistogram()

    async def allow(self, most: int) -> int:
        """Waits until a message is due; how many are due now, at most `most`; 0 when the schedule is at its end."""
        now = self._now()
        while self._next_s > now:
            if self._over(self._next_s):
                return 0
            # Timers are late by up to a millisecond; the last one is spent giving way to others instead.
            await asyncio.sleep(max(0.0, self._next_s - now - _SPIN_S))
            now = self._now()
        allowed = 0
        while allowed < most and self._next_s <= now and not self._over(self._next_s):
            self._allowed.append(self._next_s)
            self._next_s = next(self._times)
            allowed += 1
        return allowed

    def take(self, lane: int, *, waited: bool) -> None:
        """The oldest message that was allowed went into a lane; `waited`: it had to wait for room there."""
        due_s = self._allowed.popleft()
        if waited:
            self._blocked_until = self._now()
        # Messages that became due while the feeder stood still were held up by the same full inbox.
        self.overflow += waited or due_s <= self._blocked_until
        self._in_lanes[lane].append(due_s)
        self._taken += 1
        self._last_due_s = due_s

    def answer(self, lane: int, stored: list[bool]) -> None:
        """The oldest messages of a lane were answered; those that were refused have no latency."""
        now, due = self._now(), self._in_lanes[lane]
        for is_stored in stored:
            due_s = due.popleft()
            if is_stored:
                self.response.record_us(int((now - due_s) * 1_000_000))

    def abandon(self, lane: int) -> None:
        """What waits in a lane is not sent any more."""
        self._in_lanes[lane].clear()

    def cut(self) -> None:
        """The run ends before its schedule: what was due by now and was not taken counts as behind."""
        now = self._now()
        late = 0 if self._over(self._next_s) else sum(1 for _ in islice(self._due_by(now), _DUE_AT_ONCE_MAX))
        self._behind = len(self._allowed) + late

    def offered_per_s(self) -> float:
        """The rate at which messages were due until the last one that was taken: chance makes it differ from the
        plan's."""
        return (self._taken + self._behind) / self._last_due_s if self._last_due_s > 0 else math.inf

    def summary(self) -> dict[str, Any]:
        """For JSON. `offered` were due until the end, `overflow` of them were sent late, `behind` not at all."""
        ramp = self._ramp
        rates = {"rate_per_s_from": ramp.from_rate, "rate_per_s_to": ramp.to_rate, "ramp_s": ramp.seconds}
        return {
            **self._plan,
            **(rates if ramp.from_rate != ramp.to_rate else {"rate_per_s": ramp.to_rate}),
            "offered": self._taken + self._behind,
            "overflow": self.overflow,
            "behind": self._behind,
            "response": {
                "messages": self.response.count,
                "p50_ms": self.response.percentile_ms(50),
                "p99_ms": self.response.percentile_ms(99),
                "max_ms": self.response.max_ms(),
            },
        }

    def _due_by(self, now: float) -> Iterator[float]:
        while self._next_s <= now and not self._over(self._next_s):
            yield self._next_s
            self._next_s = next(self._times)

    def _over(self, due_s: float) -> bool:
        return self._ends_s is not None and due_s > self._ends_s

    def _now(self) -> float:
        if self._started_at is None:
            self._started_at = self._clock()
        return self._clock() - self._started_at
