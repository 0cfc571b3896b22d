"""Latencies in bounded memory: a thin face over HdrHistogram. Times go in as microseconds and come out as milliseconds.

Percentiles are exact to three digits between 1 µs and 1 h. What is longer counts as 1 h, and is counted in `above`
too. Histograms are merged by addition: percentiles are never averaged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_US_MAX = 3_600_000_000


class LatencyHistogram:
    """Counts latencies. Not safe for several threads."""

    def __init__(self) -> None:
        self._counts = HdrHistogram(1, _US_MAX, 3)
        self.above = 0
        """Latencies above the range."""

    @property
    def count(self) -> int:
        return int(self._counts.get_total_count())

    def record_us(self, latency_us: int) -> None:
        self.above += latency_us > _US_MAX
        self._counts.record_value(min(max(latency_us, 1), _US_MAX))

    def record_many_us(self, latencies_us: npt.NDArray[np.int64]) -> None:
        """The same for a whole array, at a small part of the price."""
        import numpy as np

        if not latencies_us.size:
            return
        self.above += int(np.count_nonzero(latencies_us > _US_MAX))
        values = np.clip(latencies_us, 1, _US_MAX)
        counts, half = self._counts, self._counts.sub_bucket_half_count_magnitude
        # frexp gives the bit length of a whole number; the index is that of HdrHistogram with a unit of 1.
        _, lengths = np.frexp((values | counts.sub_bucket_mask).astype(np.float64))
        buckets = lengths.astype(np.int64) - (half + 1)
        places = ((buckets + 1) << half) + (values >> buckets) - counts.sub_bucket_half_count
        cells = np.frombuffer(counts.counts, dtype=np.uint64)
        cells += np.bincount(places, minlength=cells.size).astype(np.uint64)
        counts.total_count += int(values.size)
        counts.min_value = min(counts.min_value, int(values.min()))
        counts.max_value = max(counts.max_value, int(values.max()))

    def add(self, other: LatencyHistogram) -> None:
        """Count everything that `other` counted, too."""
        self._counts.add(other._counts)
        self.above += other.above

    def encode(self) -> str:
        """As text in HdrHistogram's own compressed form (V2, base64), which its other libraries read. `above` is not
        part of it."""
        return bytes(self._counts.encode()).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> LatencyHistogram:
        """The histogram that `encode` wrote. Raises ValueError when it is none."""
        made = cls()
        try:
            made._counts.decode_and_add(text.encode("ascii"))
        except Exception as error:  # the library raises whatever its codec and zlib raise
            raise ValueError("not an encoded histogram") from error
        return made

    def percentile_ms(self, percent: float) -> float | None:
        """The latency that `percent` % of the recorded ones did not exceed; None when nothing was recorded."""
        return float(self._counts.get_value_at_percentile(percent)) / 1000 if self.count else None

    def mean_ms(self) -> float | None:
        """The average, exact to the width of the cells; None when nothing was recorded."""
        if not self.count:
            return None
        lowest, widths, counts = self._in_use()
        return float(((lowest + (widths >> 1)) * counts).sum()) / self.count / 1000

    def max_ms(self) -> float | None:
        return float(self._counts.get_max_value()) / 1000 if self.count else None

    def cells(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """What was recorded, as (value in µs, how often), ascending: the highest value of each cell in use."""
        lowest, widths, counts = self._in_use()
        return lowest + widths - 1, counts

    def _in_use(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Of each cell in use, ascending: its lowest value, how many values it takes, and its count."""
        import numpy as np

        counts = np.frombuffer(self._counts.counts, dtype=np.uint64).astype(np.int64)
        places = np.flatnonzero(counts)
        half = self._counts.sub_bucket_half_count
        # The first cells take one value each; further on, each `half` cells are twice as wide as those before them.
        buckets = np.maximum((places >> self._counts.sub_bucket_half_count_magnitude) - 1, 0)
        lowest = (places - buckets * half) << buckets
        return lowest, np.left_shift(1, buckets), counts[places]
