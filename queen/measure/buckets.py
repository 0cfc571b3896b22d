"""Numbers counted in buckets that double in width: a few list cells however many are recorded, cheap on a hot path.

For times in microseconds and for sizes alike. Two of them are merged by adding their cells, also across processes;
`LatencyHistogram` is exact to three digits, and dearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BUCKETS: Final = 28
"""Bucket n holds the numbers below 2**n that no smaller one holds; the last one all that is left (from 67 s in µs)."""

_LAST: Final = BUCKETS - 1


class Buckets:
    """Counts of numbers from 0 by their power of two, and their sum. Not safe for several threads."""

    __slots__ = ("counts", "sum")

    def __init__(self, counts: Sequence[int] = (), total: int = 0) -> None:
        """Empty, or with the counts and the sum of another one. Raises ValueError for a wrong number of counts."""
        if counts and len(counts) != BUCKETS:
            raise ValueError(f"{len(counts)} counts instead of {BUCKETS}")
        self.counts = list(counts) or [0] * BUCKETS
        self.sum = total

    def record(self, number: int) -> None:
        """Count one number; it must not be negative."""
        place = number.bit_length()
        self.counts[place if place < _LAST else _LAST] += 1
        self.sum += number

    @property
    def count(self) -> int:
        """How many were recorded."""
        return sum(self.counts)

    def mean(self) -> float | None:
        """The average; None when nothing was recorded."""
        count = self.count
        return self.sum / count if count else None

    def percentile(self, percent: float) -> float | None:
        """The number that `percent` % did not exceed, interpolated in its bucket; None when nothing was recorded."""
        count = self.count
        if not count:
            return None
        wanted = count * percent / 100
        below = 0
        for place, held in enumerate(self.counts):
            if held and below + held >= wanted:
                low, high = upper_bound(place - 1) if place else 0, upper_bound(place)
                return low + (high - low) * max(0.0, wanted - below) / held
            below += held
        return float(upper_bound(_LAST))

    def plus(self, other: Buckets) -> Buckets:
        """Both together."""
        return Buckets([a + b for a, b in zip(self.counts, other.counts, strict=True)], self.sum + other.sum)

    def minus(self, earlier: Buckets) -> Buckets:
        """What was recorded since `earlier`, which was a state of the same buckets."""
        return Buckets([a - b for a, b in zip(self.counts, earlier.counts, strict=True)], self.sum - earlier.sum)


def upper_bound(place: int) -> int:
    """The largest whole number that belongs to a bucket; for the last one, where it begins to be open."""
    return (1 << place) - 1
