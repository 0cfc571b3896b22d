"""Counts by the minute over the last hour, for whoever asks later when something happened.

A minute in which nothing was counted is not there. Bounded by sixty minutes of a few dozen words each; the words are
ours. Meant for what is rare: refusals, time-outs, slow calls.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

MINUTES_KEPT: Final = 60
MINUTE_S: Final = 60
WORDS_MAX: Final = 64

ByMinute = dict[int, dict[str, int]]
"""The beginning of a minute (seconds since 1970) → word → count."""


class Minutes:
    """Counts of words. `clock`: seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._minutes: deque[tuple[int, dict[str, int]]] = deque(maxlen=MINUTES_KEPT)

    def count(self, word: str, number: int = 1) -> None:
        """Count a word in the minute that runs. Beyond WORDS_MAX words of a minute nothing is told apart."""
        words = self._running()
        if word not in words and len(words) >= WORDS_MAX:
            word = "other"
        words[word] = words.get(word, 0) + number

    def highest(self, word: str, number: int) -> None:
        """Remember the highest number of the minute that runs instead of a sum."""
        words = self._running()
        if number > words.get(word, 0):
            words[word] = number

    def shown(self) -> ByMinute:
        """What was counted in the last hour, oldest first."""
        since = _beginning(self._clock()) - (MINUTES_KEPT - 1) * MINUTE_S
        return {at: dict(words) for at, words in self._minutes if at >= since and words}

    def _running(self) -> dict[str, int]:
        now = _beginning(self._clock())
        if not self._minutes or self._minutes[-1][0] < now:
            self._minutes.append((now, {}))
        # A clock that was set back counts in the last minute: minutes stay in order.
        return self._minutes[-1][1]


def add(one: ByMinute, other: Mapping[int, Mapping[str, int]]) -> ByMinute:
    """Both together, the last hour of them, oldest first."""
    found = {at: dict(words) for at, words in one.items()}
    for at, words in other.items():
        known = found.setdefault(at, {})
        for word, number in words.items():
            known[word] = known.get(word, 0) + number
    return dict(sorted(found.items())[-MINUTES_KEPT:])


def _beginning(at: float) -> int:
    return int(at // MINUTE_S) * MINUTE_S
