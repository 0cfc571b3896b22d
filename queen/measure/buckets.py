"""Latencies in fixed buckets, each twice as wide as the one before: cheap to count, to add up and to export.

Percentiles are upper bounds, at most twice the true value. Where three digits matter, `queen.measure.histogram` has
them, at a higher price. Knows nothing of what is measured.
"""

from __future__ import annotations

BUCKETS = 36
"""The last one begins at 2^34 µs, almost five hours, and takes all that is longer."""


class Buckets:
    """Counts of latencies. Bucket n: below 2^n µs, and in no earlier one. Not safe for several threads."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.sum = 0
        """Of all latencies, in µs."""

    def record(self, us: int) -> None:
        """Count one latency in microseconds; a negative one, from a clock that stepped, counts as 0."""
        if us < 0:
            us = 0
        self.counts[min(us.bit_length(), BUCKETS - 1)] += 1
        self.sum += us

    @property
    def count(self) -> int:
        """How many were recorded."""
        return sum(self.counts)

    def percentile(self, percent: float) -> int | None:
        """The bound in µs that `percent` % of the recorded ones stayed below; None when nothing was recorded."""
        wanted = self.count * percent / 100
        passed = 0
        for place, count in enumerate(self.counts):
            passed += count
            if count and passed >= wanted:
                return int(1 << place)
        return None
