"""The null run at a rate that any machine holds, and one that none does."""

from __future__ import annotations

import asyncio

import pytest

from queen.bench import null_run as null_runs
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


def test_workers_that_are_still_behind_after_a_while_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy:
        async def send(self, order: object) -> None:
            pass

    monkeypatch.setattr(null_runs, "_PATIENCE_S", 0.05)
    totals = null_runs._Totals()
    totals.ready.add(0)
    asyncio.run(null_runs._drive(Busy(), totals, 1000, 1, 0.0, True))  # type: ignore[arg-type]
    found = null_runs._judge(totals, 1000, 1, 50, 1)
    assert not found.ok
    assert any("was not answered" in reason for reason in found.reasons)
