"""Percentiles under the sample rule: one that too few samples support is not shown, and one that hardly more support
is not compared. Knows nothing of objectives."""

from __future__ import annotations

import math

from queen.bench.result import Percentiles
from queen.measure.histogram import LatencyHistogram

SHOWN = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)


def needed(percent: float) -> int:
    """Samples that a percentile needs to be shown: 10 beyond it, 1,000 for p99."""
    return math.ceil(round(10 / (1 - percent / 100), 6))


def showable(percent: float, count: int) -> bool:
    """Do so many samples support the percentile?"""
    return count >= needed(percent)


def needed_to_compare(percent: float) -> int:
    """Samples without which it is not compared with that of another run: 100 beyond it, 10,000 for p99."""
    return 10 * needed(percent)


def comparable(percent: float, count: int) -> bool:
    """May it be compared with that of another run?"""
    return count >= needed_to_compare(percent)


def at(histogram: LatencyHistogram, percent: float) -> float | None:
    """The percentile in milliseconds; None without enough samples."""
    return histogram.percentile_ms(percent) if showable(percent, histogram.count) else None


def of(histogram: LatencyHistogram) -> Percentiles:
    """All that are shown, in milliseconds."""
    p50, p90, p95, p99, p99_9, p99_99 = (at(histogram, percent) for percent in SHOWN)
    return Percentiles(
        count=histogram.count,
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        p99_9=p99_9,
        p99_99=p99_99,
        max=histogram.max_ms(),
        mean=histogram.mean_ms(),
    )


def text(histogram: LatencyHistogram, percent: float) -> str:
    """For people: "12.3 ms", or how many samples it would need."""
    value = at(histogram, percent)
    return f"n/a (needs {needed(percent):,})" if value is None else milliseconds(value)


def milliseconds(value: float) -> str:
    """Three digits: "0.123 ms", "12.3 ms", "1,234 ms"."""
    if value >= 100:
        return f"{value:,.0f} ms"
    return f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms" if value >= 1 else f"{value:.3f} ms"
