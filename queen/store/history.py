"""What went wrong lately with the connections: a bounded ring of events, and totals by kind.

An event that repeats the last one within a second is counted there, so that one outage does not push everything else
out of the ring. Counts by the minute are kept for an hour. Knows nothing of connections; `queen.store.pool` tells it
what happened.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

from queen.measure.minutes import ByMinute, Minutes

TIMEOUT = "timeout"
REFUSED = "refused"
LONG_WAIT = "long_wait"
LOST = "connection_lost"
OVERRUN = "overrun"
SLOW = "slow_call"
OUTAGE = "outage"
BACK = "back"

KINDS = (TIMEOUT, REFUSED, LONG_WAIT, LOST, OVERRUN, SLOW, OUTAGE, BACK)

_EVENTS_MAX = 200
_MERGED_S = 1.0


@dataclass(slots=True)
class Event:
    """One thing that happened, or several of a kind in a row."""

    kind: str
    at: float
    """Of the first, in seconds since 1970."""
    duration_ms: int
    """The longest, where a duration is part of it."""
    size: int
    idle: int
    waiting: int
    text: str
    count: int = 1
    work: dict[str, int] = field(default_factory=dict)
    """Which calls it happened to, and how often; calls that nobody named are left out."""


class History:
    """The last events of this process."""

    def __init__(self, events_max: int = _EVENTS_MAX) -> None:
        self.totals: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self._events: deque[Event] = deque(maxlen=events_max)
        self._last_at = 0.0
        self._minutes = Minutes()

    def note(self, kind: str, duration_s: float, pool: dict[str, int], text: str = "", work: str = "") -> None:
        """One event: its kind, how long it took or lasted, the size, idle and waiting of the pool just then, and the
        call that it happened to."""
        self.totals[kind] += 1
        self._minutes.count(kind)
        now = time.time()
        recent, self._last_at = now - self._last_at < _MERGED_S, now
        last = self._events[-1] if self._events else None
        duration_ms = int(duration_s * 1000)
        if last is not None and recent and last.kind == kind and last.text == text:
            last.count += 1
            last.duration_ms = max(last.duration_ms, duration_ms)
            last.waiting = max(last.waiting, pool["waiting"])
            if work:
                last.work[work] = last.work.get(work, 0) + 1
            return
        named = {work: 1} if work else {}
        self._events.append(
            Event(kind, now, duration_ms, pool["size"], pool["idle"], pool["waiting"], text, work=named)
        )

    def by_minute(self) -> ByMinute:
        """How often each kind happened, by the minute of the last hour."""
        return self._minutes.shown()

    def events(self) -> list[dict[str, Any]]:
        """The events as plain objects, oldest first."""
        return [asdict(event) for event in self._events]
