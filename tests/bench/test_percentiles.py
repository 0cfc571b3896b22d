"""The sample rule."""

from __future__ import annotations

import numpy as np
import pytest

from queen.bench import percentiles
from queen.measure.histogram import LatencyHistogram


def of_ms(count: int) -> LatencyHistogram:
    histogram = LatencyHistogram()
    histogram.record_many_us(np.arange(1, count + 1, dtype=np.int64) * 1000)
    return histogram


@pytest.mark.parametrize(
    ("percent", "shown", "compared"),
    [(50, 20, 200), (90, 100, 1000), (99, 1000, 10_000), (99.9, 10_000, 100_000), (99.99, 100_000, 1_000_000)],
)
def test_a_percentile_needs_ten_samples_beyond_it_and_a_hundred_to_be_compared(
    percent: float, shown: int, compared: int
) -> None:
    assert percentiles.needed(percent) == shown
    assert [percentiles.showable(percent, count) for count in (shown - 1, shown)] == [False, True]
    assert [percentiles.comparable(percent, count) for count in (compared - 1, compared)] == [False, True]


def test_what_too_few_samples_support_is_left_out() -> None:
    found = percentiles.of(of_ms(999))
    assert (found.count, found.p99, found.p99_9, found.p99_99) == (999, None, None, None)
    assert found.p50 == pytest.approx(500, rel=0.01)
    assert found.max == pytest.approx(999, rel=0.001)
    assert percentiles.of(of_ms(1000)).p99 == pytest.approx(990, rel=0.001)
    nothing = percentiles.of(LatencyHistogram())
    assert (nothing.count, nothing.p50, nothing.max, nothing.mean) == (0, None, None, None)


def test_text_says_how_many_it_would_need() -> None:
    assert percentiles.text(of_ms(10), 99.9) == "n/a (needs 10,000)"
    assert percentiles.text(of_ms(1000), 50) == "500 ms"
    assert [percentiles.milliseconds(value) for value in (0.1234, 1.234, 12.34, 1234)] == [
        "0.123 ms",
        "1.23 ms",
        "12.3 ms",
        "1,234 ms",
    ]
