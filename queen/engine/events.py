"""What went wrong lately, in short rings with times: for whoever asks later what it was. In memory, of one process.

Equal events that follow each other within a second are one event with a count, so that a storm of one kind does not
push everything else out. Totals by kind are kept without end, and by the minute for an hour; kinds are words of ours,
so there are few.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from queen.measure.minutes import ByMinute, Minutes

EVENTS_MAX: Final = 100
_MERGED_S: Final = 1.0
_TEXT_MAX: Final = 200


@dataclass(slots=True)
class Event:
    """One thing that happened, or `count` of them in a row; `at` is when the first did, in seconds since 1970."""

    at: float
    verb: str
    kind: str
    text: str = ""
    ms: int = 0
    """How long it took, the longest of several."""
    entries: int = 0
    count: int = 1


class Ring:
    """The last events of one sort."""

    def __init__(self, most: int = EVENTS_MAX, clock: Callable[[], float] = time.time) -> None:
        self.totals: Counter[str] = Counter()
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=most)
        self._last_at = 0.0
        self._minutes = Minutes(clock)

    def note(self, verb: str, kind: str, text: str = "", *, ms: int = 0, entries: int = 0) -> None:
        """One event: which verb it was about, a word for what it is, and what it says."""
        self.totals[kind] += 1
        self._minutes.count(kind)
        now = self._clock()
        recent, self._last_at = now - self._last_at < _MERGED_S, now
        last = self._events[-1] if self._events else None
        if last is not None and recent and (last.verb, last.kind) == (verb, kind):
            last.count += 1
            last.ms, last.entries = max(last.ms, ms), max(last.entries, entries)
            return
        self._events.append(Event(now, verb, kind, text[:_TEXT_MAX], ms, entries))

    def events(self) -> list[Event]:
        """The events, oldest first."""
        return list(self._events)

    def by_minute(self) -> ByMinute:
        """How often each kind happened, by the minute of the last hour."""
        return self._minutes.shown()
