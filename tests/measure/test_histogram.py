"""Latency histograms: recording in bulk counts as recording one by one; encoding and decoding keep everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queen.measure.histogram import LatencyHistogram

LONGEST_US = 3_600_000_000
BORDERS = [1, 2, 2047, 2048, 2049, 4095, 4096, 4097, LONGEST_US - 1, LONGEST_US, LONGEST_US + 1]


def one_by_one(latencies_us: list[int]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for latency_us in latencies_us:
        histogram.record_us(latency_us)
    return histogram


def in_bulk(latencies_us: list[int]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    histogram.record_many_us(np.array(latencies_us, dtype=np.int64))
    return histogram


def facts(histogram: LatencyHistogram) -> tuple[object, ...]:
    percentiles = [histogram.percentile_ms(percent) for percent in (1, 25, 50, 90, 99, 99.9, 100)]
    return (histogram.count, histogram.above, histogram.max_ms(), histogram.mean_ms(), *percentiles)


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(-5, 10_000), st.integers(0, 1 << 33), st.sampled_from(BORDERS)), min_size=1))
def test_bulk_counts_as_one_by_one(latencies_us: list[int]) -> None:
    assert facts(in_bulk(latencies_us)) == facts(one_by_one(latencies_us))


def test_bulk_adds_to_what_is_there() -> None:
    histogram = one_by_one([10, 20])
    histogram.record_many_us(np.array([5_000, 30], dtype=np.int64))
    assert facts(histogram) == facts(one_by_one([10, 20, 5_000, 30]))


def test_nothing_in_bulk_changes_nothing() -> None:
    assert facts(in_bulk([])) == facts(LatencyHistogram())


@settings(deadline=None)
@given(st.lists(st.integers(1, LONGEST_US), min_size=1))
def test_what_was_encoded_comes_back(latencies_us: list[int]) -> None:
    histogram = in_bulk(latencies_us)
    assert facts(LatencyHistogram.decode(histogram.encode())) == facts(histogram)


def test_what_is_longer_than_the_range_is_counted_apart() -> None:
    assert in_bulk([1, LONGEST_US, LONGEST_US + 1, 1 << 40]).above == 2


def test_what_is_no_histogram_is_refused() -> None:
    with pytest.raises(ValueError, match="not an encoded histogram"):
        LatencyHistogram.decode("HISTFAAAAB42nothing")


def test_the_cells_hold_what_was_recorded() -> None:
    values, counts = in_bulk([3, 3, 10, 5_000, 5_001, LONGEST_US]).cells()
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {3: 2, 10: 1, 5_003: 2, 3_600_809_983: 1}
    assert in_bulk([]).cells()[0].size == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 10_000), st.integers(1, LONGEST_US), st.sampled_from(BORDERS)), min_size=1))
def test_cells_and_mean_are_those_of_the_library(values: list[int]) -> None:
    histogram = in_bulk(values)
    library = histogram._counts
    cells, counts = histogram.cells()
    highest = sorted(library.get_highest_equivalent_value(min(max(value, 1), LONGEST_US)) for value in values)
    assert np.repeat(cells, counts).tolist() == highest
    assert histogram.mean_ms() == pytest.approx(library.get_mean_value() / 1000)
