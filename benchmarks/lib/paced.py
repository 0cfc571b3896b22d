"""Pushes at a fixed pace: each has a moment at which it is due, and its latency counts from there.

A push that finds no free connection is sent as soon as one is free, late, and stays due at its moment: a server that
stalls shows in the latencies of all pushes that were due meanwhile, not in one. Consumers are those of the closed loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from benchmarks.lib.flow import Flow, Lane
from benchmarks.lib.plan import Pace, Plan

LATE_MS = 10
_LATE_NS = LATE_MS * 1_000_000


class PacedFlow(Flow):
    """`mark` begins to count what `kept` reports."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._period_ns = 1e9 / plan.pushes_per_s
        self._start_ns = 0
        self._first_number = 0
        self._sent = 0
        self._idle: deque[Lane] = deque()
        self._due_ns: dict[Lane, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._late = 0
        self._behind_ns = 0
        self._covered_ns = 0
        self._marked = (0, 0)

    def forget_latency(self) -> None:
        super().forget_latency()
        self.latency_ns |= {"intended": [], "lag": [], "end_to_end": []}

    def start_pacing(self, lanes: Sequence[Lane]) -> None:
        """The first push is due now."""
        self._start_ns, self._sent = time.perf_counter_ns(), 0
        self._first_number = self.ledger.reserved
        self._idle.clear()
        self.start_pushing(lanes)

    def stop_pushing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().stop_pushing()
        while self._idle:
            self._idle.popleft()
            self._end()

    def mark(self) -> None:
        self._late = self._behind_ns = 0
        self._covered_ns = time.perf_counter_ns()
        self._marked = (self._due_count(), self.requests["push"])

    def kept(self) -> Pace:
        """Since `mark`; `drained_s` is for the caller to fill in."""
        self._cover(time.perf_counter_ns())
        due, answered = self._due_count() - self._marked[0], self.requests["push"] - self._marked[1]
        return Pace(due, answered, self._late, self._behind_ns / 1e9, 0.0)

    def _due_count(self) -> int:
        """Pushes that were due by now."""
        return int((time.perf_counter_ns() - self._start_ns) / self._period_ns) + 1

    def _due_at(self, push: int) -> int:
        return self._start_ns + int(push * self._period_ns)

    def _cover(self, now: int) -> None:
        """Adds the time since the last look for which the next push was late."""
        since = max(self._due_at(self._sent) + _LATE_NS, self._covered_ns)
        if now > since:
            self._behind_ns += now - since
        self._covered_ns = max(self._covered_ns, now)

    def _next_push(self, lane: Lane) -> None:
        if not self.pushing or self.failure is not None:
            self._end()
        elif time.perf_counter_ns() >= self._due_at(self._sent):
            self._send_due(lane)
        else:
            self._idle.append(lane)
            self._arm()

    def _send_due(self, lane: Lane) -> None:
        now, due = time.perf_counter_ns(), self._due_at(self._sent)
        self._cover(now)
        self._late += now - due > _LATE_NS
        self._sent += 1
        self._due_ns[lane] = due
        self.latency_ns["lag"].append(now - due)
        super()._next_push(lane)

    def _arm(self) -> None:
        if self._timer is None:
            wait_s = (self._due_at(self._sent) - time.perf_counter_ns()) / 1e9
            self._timer = asyncio.get_running_loop().call_later(max(0.0, wait_s), self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = time.perf_counter_ns()
        while self._idle and self.failure is None and self._due_at(self._sent) <= now:
            self._send_due(self._idle.popleft())
        if self._idle and self.pushing:
            self._arm()

    def _on_push(self, lane: Lane, status: int, body: bytes) -> None:
        due = self._due_ns.pop(lane, None)  # what makes the partitions is due at no time
        if due is not None:
            self.latency_ns["intended"].append(time.perf_counter_ns() - due)
        super()._on_push(lane, status, body)

    def _on_pop(self, lane: Lane, status: int, body: bytes) -> None:
        """One sample for as many messages as a push has: they arrive together."""
        lane.numbers = []
        super()._on_pop(lane, status, body)
        now = time.perf_counter_ns()
        size, first, samples = self.plan.size, self._first_number, self.latency_ns["end_to_end"]
        for number in lane.numbers[::size]:
            if number >= first:
                samples.append(now - self._due_at((number - first) // size))
