"""Percentiles of the server's insert histogram, under the sample rule: 10 / (1 − p) samples to be shown."""

from __future__ import annotations

from queen.bench.result import Percentiles
from queen.measure.histogram import LatencyHistogram


def insert_percentiles(histogram: LatencyHistogram) -> Percentiles:
    """Milliseconds; null where there are too few samples."""

    def shown(percent: float) -> float | None:
        return histogram.percentile_ms(percent) if histogram.count * (100 - percent) >= 999.9 else None

    return Percentiles(
        count=histogram.count,
        p50=shown(50),
        p90=shown(90),
        p95=shown(95),
        p99=shown(99),
        p99_9=shown(99.9),
        p99_99=shown(99.99),
        max=histogram.max_ms(),
        mean=histogram.mean_ms(),
    )
