"""Samples by column: totals that start anew, gaps, spans, and the second to which a sample belongs."""

from __future__ import annotations

import pytest

from queen.bench.observe import metrics
from queen.bench.observe.columns import Columns
from queen.measure.histogram import LatencyHistogram

S = 1_000_000_000


def made(*values: float | None) -> Columns:
    columns = Columns()
    for second, value in enumerate(values):
        columns.append(second * S, {"x": value})
    return columns


def test_a_restart_goes_on_counting_and_a_gap_is_bridged() -> None:
    columns = made(100, 110, None, 130, 5, 15)
    assert columns.increase("x", 0, 5 * S) == pytest.approx(45)
    assert columns.increase("x", 0, 5 * S, restarts=False) == pytest.approx(40)
    assert columns.increase("x", S // 2, S) == pytest.approx(5)
    assert columns.rate_by_second("x") == {0: 10, 3: 5, 4: 10}


def test_what_was_not_seen_to_the_end_is_not_known() -> None:
    columns = made(1, 2, 3)
    assert columns.increase("x", 0, 9 * S) is None
    assert columns.increase("y", 0, 2 * S) is None


def test_figures_that_come_later_have_gaps_before() -> None:
    columns = made(1, 2)
    columns.append(2 * S, {"y": 7})
    assert columns.state_by_second("y") == {1: 7}
    assert columns.states("x") == [(0, 1), (S, 2)]


def test_an_insert_histogram_is_the_difference_of_two_reads() -> None:
    earlier = metrics.Insert((1000,), (5,))
    later = metrics.Insert((1000, 2000, 4000), (5, 100, 0))
    histogram = LatencyHistogram()
    metrics.add_to(histogram, metrics.since(later, earlier))
    assert histogram.count == 100
    middle = histogram.percentile_ms(50)
    assert middle is not None
    assert 1.4 < middle < 1.6
    assert metrics.since(earlier, later) == earlier, "the server started anew"


def test_what_is_no_queen_is_nothing() -> None:
    assert metrics.flatten(None) is None
    assert metrics.flatten({"hello": 1}) is None
    assert metrics.insert_of({"counters": {}}) is None
