"""Readings become costs a message; windows that prove nothing do not count."""

from __future__ import annotations

import pytest

from benchmarks.lib.cells import Reading, Window, make_cell, make_window
from benchmarks.lib.load import summary
from benchmarks.lib.plan import Counters, Step, StepKind, steps_for
from benchmarks.lib.postgres import PgCounters
from queen.measure.processes import MachineCpu

ZERO = Reading(Counters(0.0, 0.0, 0, 0, 0, 0, 0, 0, 0), 5.0, 7.0, MachineCpu(100.0, 1.0), PgCounters(0, 0, 0, 0, 0, 0))


def window(
    kind: StepKind = "life",
    *,
    seconds: float = 4.0,
    pushed: int = 1000,
    acked: int = 1000,
    generator_s: float = 0.5,
    server_s: float | None = 0.02,
    busy_s: float = 1.0,
    pg: PgCounters | None = PgCounters(800_000, 30, 40, 5, 1, 60),
    steal_s: float = 0.0,
) -> Window:
    counters = Counters(seconds, generator_s, pushed, acked, acked, 100, 50, 50, 3)
    server = None if server_s is None else 5.0 + server_s
    end = Reading(counters, server, 7.01, MachineCpu(100.0 + busy_s, 1.0 + steal_s), pg)
    return make_window(Step(kind, 0, True, 1.0, seconds), ZERO, end, {}, cores=2)


def test_costs_are_divided_by_the_messages_of_the_stage() -> None:
    life = window()
    assert (life.messages, life.msg_per_s) == (1000, 250.0)
    assert life.server_us == pytest.approx(20.0)
    assert life.postgres_us == pytest.approx(10.0)
    assert life.total_us == pytest.approx(30.0)
    assert life.generator_us == pytest.approx(500.0)
    assert (life.wal_bytes, life.writes, life.commits, life.statements) == (800.0, 0.03, 0.04, 0.06)
    assert (life.checkpoints, life.messages_per_pop, life.pops_empty) == (1, 20.0, 3)
    assert window("push", pushed=500, acked=0).messages == 500
    assert window("drain", pushed=0, acked=2000).server_us == pytest.approx(10.0)


def test_what_no_meter_saw_is_not_guessed() -> None:
    blind = window(server_s=None, pg=None)
    assert (blind.server_us, blind.total_us, blind.others_share, blind.wal_bytes, blind.statements) == (None,) * 5
    assert blind.counts
    assert make_cell("life", 1, [blind]).best_to_reference is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"seconds": 0.5}, "short"),
        ({"pushed": 0, "acked": 0}, "short"),
        ({"pushed": 1100}, "unbalanced"),
        ({"pushed": 900}, "unbalanced"),
    ],
)
def test_windows_that_do_not_count(changes: dict[str, float], word: str) -> None:
    bad = window(**changes)  # type: ignore[arg-type]
    assert not bad.counts
    assert bad.notes[0].startswith(word)
    assert make_cell("life", 1, [bad]).best is None


def test_windows_that_count_with_a_remark() -> None:
    assert window(generator_s=3.7).notes[0].startswith("generator-limited")
    assert window(busy_s=3.0).notes[0].startswith("others used 31%")
    assert window(steal_s=0.4).notes[0].startswith("the hypervisor took 5%")
    assert window().notes == []
    assert window(generator_s=3.7).counts


def test_a_cell_takes_the_cheapest_counting_window_and_the_median() -> None:
    windows = [window(server_s=0.03), window(server_s=0.02), window(server_s=0.05), window(server_s=0.001, pushed=1)]
    cell = make_cell("life", 10, windows)
    assert cell.best is windows[1]
    assert cell.median_total_us == pytest.approx(40.0)
    assert cell.best_to_reference == pytest.approx(30.0 / 59.0)
    assert cell.median_to_reference == pytest.approx(40.0 / 59.0)
    assert make_cell("life", 1000, windows).reference_us is None


def test_percentiles_by_nearest_rank() -> None:
    times = summary([number * 1_000_000 for number in range(100, 0, -1)])
    assert (times.count, times.p50_ms, times.p99_ms, times.max_ms) == (100, 50.0, 99.0, 100.0)
    assert summary([2_000_000]).p50_ms == 2.0


def test_a_push_is_always_followed_by_a_drain_and_stages_alternate() -> None:
    steps = steps_for(["drain", "life"], 2, 1.0, 2.0)
    assert [step.kind for step in steps] == ["prime", "push", "drain", "life", "push", "drain", "life"]
    assert [step.measured for step in steps] == [False, False, True, True, False, True, True]
    assert [step.kind for step in steps_for(["life"], 1, 1.0, 2.0)] == ["prime", "life"]
