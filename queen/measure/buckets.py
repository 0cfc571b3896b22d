"""Numbers counted in buckets that double in width: a few list cells however many are recorded, cheap on a hot path.

For times in microseconds and for sizes alike. Two of them are merged by adding their cells, also across processes;
`LatencyHistogram` is exact to three digits, and dearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Self

BUCKETS: Final = 28
"""Bucket n holds the numbers below 2**n that no smaller one holds; the last one all that is left (from 67 s in µs)."""

_LAST: Final = BUCKETS - 1

_STEPS: Final = 16
_STEP_BITS: Final = 5
_FINE: Final = (BUCKETS - _STEP_BITS) * _STEPS + _STEPS


class Buckets:
    """Counts of numbers from 0 by their power of two, and their sum. Not safe for several threads."""

    __slots__ = ("counts", "sum")

    size: ClassVar[int] = BUCKETS
    """How many buckets there are."""

    def __init__(self, counts: Sequence[int] = (), total: int = 0) -> None:
        """Empty, or with the counts and the sum of another one. Raises ValueError for a wrong number of counts."""
        if counts and len(counts) != self.size:
            raise ValueError(f"{len(counts)} counts instead of {self.size}")
        self.counts = list(counts) or [0] * self.size
        self.sum = total

    @staticmethod
    def upper_bound(place: int) -> int:
        """The largest whole number that belongs to a bucket; for the last one, where it begins to be open."""
        return (1 << place) - 1

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
                low, high = self.upper_bound(place - 1) if place else 0, self.upper_bound(place)
                return low + (high - low) * max(0.0, wanted - below) / held
            below += held
        return float(self.upper_bound(self.size - 1))

    def copy(self) -> Self:
        """Another one with the same counts."""
        return type(self)(self.counts, self.sum)

    def plus(self, other: Self) -> Self:
        """Both together."""
        return type(self)([a + b for a, b in zip(self.counts, other.counts, strict=True)], self.sum + other.sum)

    def minus(self, earlier: Self) -> Self:
        """What was recorded since `earlier`, which was a state of the same buckets."""
        return type(self)([a - b for a, b in zip(self.counts, earlier.counts, strict=True)], self.sum - earlier.sum)


class FineBuckets(Buckets):
    """The same with sixteen even steps in each doubling, so that a percentile is known to a sixteenth: for latencies
    that an objective is set on."""

    __slots__ = ()

    size: ClassVar[int] = _FINE

    @staticmethod
    def upper_bound(place: int) -> int:
        if place < 2 * _STEPS:
            return place
        shift = place // _STEPS - 1
        return ((_STEPS + place % _STEPS + 1) << shift) - 1

    def record(self, number: int) -> None:
        if number < _STEPS:
            place = number
        else:
            shift = number.bit_length() - _STEP_BITS
            place = _STEPS * shift + (number >> shift)
        self.counts[place if place < _FINE else _FINE - 1] += 1
        self.sum += number

    def coarse(self) -> Buckets:
        """The same numbers in buckets that double."""
        counts = [0] * BUCKETS
        for place, held in enumerate(self.counts):
            counts[min(self.upper_bound(place).bit_length(), _LAST)] += held
        return Buckets(counts, self.sum)


def of_cells(cells: Sequence[int]) -> Buckets:
    """The buckets of either kind whose counts, and behind them their sum, these are."""
    kind = FineBuckets if len(cells) == _FINE + 1 else Buckets
    return kind(cells[:-1], cells[-1])
