"""Whether a long run stays as it began."""

from __future__ import annotations

import numpy as np
import pytest

from queen.bench import drift
from queen.bench.result import Series


def series(**values: list[float | None]) -> Series:
    count = len(next(iter(values.values())))
    phase = ["warmup"] * 10 + ["measure"] * (count - 10)
    return Series(second=list(range(count)), phase=phase, values=dict(values))


def noisy(first: float, last: float, count: int = 200) -> list[float | None]:
    scatter = np.random.default_rng(1).normal(0, 0.01, count)
    return [float(value) for value in np.linspace(first, last, count) * (1 + scatter)]


def test_the_change_is_that_of_the_line_through_the_measured_time() -> None:
    warm: list[float | None] = [0.0] * 10
    assert drift.change(series(delivered=warm + noisy(100, 80)), "delivered") == pytest.approx(-20 / 90, abs=0.01)
    assert drift.change(series(delivered=warm + noisy(100, 100)), "delivered") == pytest.approx(0, abs=0.01)


def test_what_was_not_measured_has_no_change() -> None:
    assert drift.change(series(delivered=[None] * 100), "delivered") is None
    assert drift.change(series(delivered=noisy(1, 1)), "server_rss_bytes") is None
    assert drift.change(series(delivered=noisy(1, 1, 15)), "delivered") is None


def test_only_the_direction_that_hurts_is_called_a_drift() -> None:
    said = drift.notes(
        series(delivered=noisy(100, 120), e2e_p99_ms=noisy(10, 12), server_rss_bytes=noisy(5e7, 5e7), other=noisy(1, 9))
    )
    assert [note.split(":")[0] for note in said] == [
        "delivered rate stays",
        "e2e p99 DRIFTS",
        "memory of the servers stays",
    ]
