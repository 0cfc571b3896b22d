"""The comparison of tuned runs: ratios of pairs, and no answer where a pair is missing or a run was wrong."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.tuned import compare


def run(p99: float, verdict: str = "pass") -> dict[str, Any]:
    latency = {name: {"p50": p99 / 10, "p99": p99} for name in ("insert", "e2e")}
    costs = {"server_cpu_us": 60.0, "postgres_cpu_us": 50.0, "wal_bytes": 760.0}
    return {"delivered_per_s": 10_000.0, "latency": latency, "costs": costs, "verdict": verdict}


def test_each_figure_is_compared_pair_by_pair() -> None:
    found = {one.figure: one for one in compare([run(20), run(10), run(40), run(20), run(30), run(15)], 3)}
    assert found["e2e p99 ms"].a == [20, 40, 30]
    assert found["e2e p99 ms"].b == [10, 20, 15]
    assert found["e2e p99 ms"].ratio == pytest.approx(0.5)
    assert found["WAL bytes a message"].ratio == 1.0


@pytest.mark.parametrize("runs", [[run(1), run(1), run(1)], [run(1), run(1), run(1), run(1, "wrong")]])
def test_what_is_no_whole_set_of_runs_gives_no_answer(runs: list[dict[str, Any]]) -> None:
    assert compare(runs, 2) == []
