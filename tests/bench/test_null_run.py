"""The null run at a rate that any machine holds, and one that none does."""

from __future__ import annotations

import asyncio

import pytest

from queen.bench.null_run import null_run
from queen.bench.workload import Workload


@pytest.mark.parametrize("consume", ["meanwhile", "never"])
def test_a_low_rate_is_offered_in_full(consume: str) -> None:
    load = Workload(consume=consume, partitions=10, pop_wait_ms=200)  # type: ignore[arg-type]
    found = asyncio.run(null_run(load, 500, workers=1, seed=1, seconds=1, slo_ms=60_000))
    assert found.offered_per_s == pytest.approx(500, rel=0.3)
    assert found.ok, found.reasons
    assert found.generator_lag_p99_ms is not None


def test_a_rate_beyond_the_generator_is_not_ok() -> None:
    found = asyncio.run(null_run(Workload(push_batch=1, consume="never"), 200_000, workers=1, seed=1, seconds=1))
    assert not found.ok
    assert found.reasons
