"""Latencies in bounded memory: a thin face over HdrHistogram. Times go in as microseconds and come out as milliseconds.

Percentiles are exact to three digits between 1 µs and 1 h; what is longer counts as 1 h. Histograms are merged by
addition: percentiles are never averaged.
"""

from __future__ import annotations

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

_US_MAX = 3_600_000_000


class LatencyHistogram:
    """Counts latencies. Not safe for several threads."""

    def __init__(self) -> None:
        self._counts = HdrHistogram(1, _US_MAX, 3)

    @property
    def count(self) -> int:
        return int(self._counts.get_total_count())

    def record_us(self, latency_us: int) -> None:
        self._counts.record_value(min(max(latency_us, 1), _US_MAX))

    def add(self, other: LatencyHistogram) -> None:
        """Count everything that `other` counted, too."""
        self._counts.add(other._counts)

    def percentile_ms(self, percent: float) -> float | None:
        """The latency that `percent` % of the recorded ones did not exceed; None when nothing was recorded."""
        return float(self._counts.get_value_at_percentile(percent)) / 1000 if self.count else None

    def max_ms(self) -> float | None:
        return float(self._counts.get_max_value()) / 1000 if self.count else None
