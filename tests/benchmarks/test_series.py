"""Ratios are made within a round, of windows that count, and their median is what is reported."""

from __future__ import annotations

import pytest

from benchmarks.lib.cells import Window
from benchmarks.lib.series import make_points


def window(repeat: int, rate: float, server_us: float, *, counts: bool = True) -> Window:
    return Window(
        repeat=repeat,
        seconds=1.0,
        messages=round(rate),
        msg_per_s=rate,
        pushed=0,
        acked=0,
        server_us=server_us,
        postgres_us=10.0,
        total_us=server_us + 10.0,
        generator_us=10.0,
        generator_share=0.1,
        others_share=0.0,
        steal_share=0.0,
        wal_bytes=None,
        full_pages=None,
        writes=None,
        commits=None,
        statements=None,
        checkpoints=None,
        messages_per_pop=None,
        pops_empty=0,
        latency={},
        counts=counts,
        notes=[],
    )


def test_a_ratio_is_between_neighbours_in_time() -> None:
    """The machine becomes half as fast from round to round; the ratio stays what it is in each."""
    base = [window(0, 1000, 20), window(1, 500, 40), window(2, 250, 80)]
    other = [window(0, 900, 25), window(1, 450, 50), window(2, 100, 100)]
    first, second = make_points([2, 1000], {2: base, 1000: other})
    assert (first.rate_ratio, first.cost_ratio, first.all_cost_ratio) == (1.0, 1.0, 1.0)
    assert second.rate_ratio == pytest.approx(0.9)
    assert second.cost_ratio == pytest.approx(60 / 50)
    assert second.all_cost_ratio == pytest.approx(70 / 60)
    assert (first.median_msg_per_s, first.median_total_us) == (500, 50)


def test_windows_that_do_not_count_make_no_ratio() -> None:
    base = [window(0, 1000, 20), window(1, 1000, 20, counts=False)]
    other = [window(0, 500, 20, counts=False), window(1, 900, 20)]
    first, second = make_points([2, 1000], {2: base, 1000: other})
    assert first.rate_ratio == 1.0
    assert second.median_msg_per_s == 900
    assert second.rate_ratio is None
    assert second.cost_ratio is None
