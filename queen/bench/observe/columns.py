"""Samples of many figures over time, kept by column: about eight bytes each, so that a soak of a day fits.

Knows running totals and states, and that a total starts anew when its process does; not what a figure means.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Final

SAMPLES_MAX: Final = 100_000
"""A day of seconds, and some more. What comes later is not kept, and `full` says so."""


class Columns:
    """Samples of one source, in the order of time. A figure that a sample lacks is a gap."""

    def __init__(self, every_s: float = 1.0) -> None:
        self.every_s = every_s
        self._at = array("q")
        self._values: dict[str, array[float]] = {}

    @property
    def full(self) -> bool:
        return len(self._at) >= SAMPLES_MAX

    def names(self) -> list[str]:
        return list(self._values)

    def times(self) -> Sequence[int]:
        return self._at

    def append(self, at_ns: int, values: Mapping[str, float | None]) -> None:
        """One sample; its time must not be before the last one's."""
        if self.full:
            return
        for name in values.keys() - self._values.keys():
            self._values[name] = array("d", [math.nan] * len(self._at))
        self._at.append(at_ns)
        for name, column in self._values.items():
            value = values.get(name)
            column.append(math.nan if value is None else value)

    def states(self, name: str) -> list[tuple[int, float]]:
        """(time in ns, value) of the samples that have this figure."""
        column = self._values.get(name, ())
        return [(at, value) for at, value in zip(self._at, column, strict=False) if not math.isnan(value)]

    def totals(self, name: str, *, restarts: bool = True) -> list[tuple[int, float]]:
        """(time in ns, total since the first sample) of a running total. It falls when its process started anew:
        then what it shows has come since (`restarts`), or nothing is known to have come."""
        found: list[tuple[int, float]] = []
        total = before = 0.0
        for at, value in self.states(name):
            if found:
                total += value - before if value >= before else (value if restarts else 0.0)
            before = value
            found.append((at, total))
        return found

    def increase(self, name: str, from_ns: int, to_ns: int, *, restarts: bool = True) -> float | None:
        """What a running total rose by, between samples in proportion. None unless samples reach to both ends, give
        or take two intervals."""
        points = self.totals(name, restarts=restarts)
        slack = int(2 * self.every_s * 1e9)
        if len(points) < 2 or points[0][0] > from_ns + slack or points[-1][0] < to_ns - slack:
            return None
        return max(0.0, _at(points, to_ns) - _at(points, from_ns))

    def largest(self, name: str, from_ns: int, to_ns: int) -> float | None:
        return max((value for at, value in self.states(name) if from_ns <= at <= to_ns), default=None)

    def mean(self, name: str, from_ns: int, to_ns: int) -> float | None:
        found = [value for at, value in self.states(name) if from_ns <= at <= to_ns]
        return sum(found) / len(found) if found else None

    def state_by_second(self, name: str) -> dict[int, float]:
        """By second of the monotonic clock: a sample belongs to the second that it ended."""
        return {second_of(at): value for at, value in self.states(name)}

    def rate_by_second(self, name: str) -> dict[int, float]:
        """Rise a second, in the seconds at whose both ends there are samples."""
        points, found = self.totals(name), {}
        for (earlier, low), (later, high) in itertools.pairwise(points):
            if 0 < later - earlier < 1.9e9 * self.every_s:
                found[second_of(later)] = (high - low) * 1e9 / (later - earlier)
        return found


def second_of(at_ns: int) -> int:
    """The second that a sample at this moment has seen most of."""
    return round(at_ns / 1e9) - 1


def _at(points: Sequence[tuple[int, float]], at_ns: int) -> float:
    if at_ns <= points[0][0]:
        return points[0][1]
    for (earlier, low), (later, high) in itertools.pairwise(points):
        if at_ns <= later:
            return low + (high - low) * (at_ns - earlier) / max(later - earlier, 1)
    return points[-1][1]
