"""Holds a stream of messages to a rate. Knows time, not messages.

A schedule is fixed at the start: message i is due at start + i / rate. After a stall the pacer catches up by at most
one second's worth of messages, so that a long outage does not end in a flood.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_CATCH_UP_S = 1.0
_TICK_S = 0.002


class Pacer:
    """Lets messages through at `rate` a second, or at once when the rate is None."""

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._started_at = clock()
        self._allowed = 0

    async def allow(self, most: int) -> int:
        """Waits until at least one message is due; returns how many may go now, at most `most`."""
        if self._rate is None:
            return most
        while (due := self._due(self._rate)) < 1:  # noqa: ASYNC110  only time makes a message due
            await asyncio.sleep(max(_TICK_S, self._next_in_s(self._rate)))
        allowed = min(most, due)
        self._allowed += allowed
        return allowed

    def _due(self, rate: float) -> int:
        # Message 0 is due at the start itself, hence the one more.
        behind = (self._clock() - self._started_at) * rate + 1 - self._allowed
        surplus = behind - max(1.0, rate * _CATCH_UP_S)
        if surplus > 0:
            self._started_at += surplus / rate
            behind -= surplus
        return int(behind)

    def _next_in_s(self, rate: float) -> float:
        return self._started_at + self._allowed / rate - self._clock()
