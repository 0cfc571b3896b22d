"""What may be tried, what is never tried, in which order, when the search ends, and when a trial is kept."""

from __future__ import annotations

from typing import Any

import pytest

from queen.settings import EngineSettings
from queen.tune.inputs import GIB, Inputs
from queen.tune.plan import make_plan
from queen.tune.trials import Candidate, Outcome, Side, bounded, candidates, deciding, judged, pair_s, search
from tests.tune.plans import WEAK

RATE = 1000.0
BASE = Side(("jit = off",))
ONE = Candidate("wal_compression", "on", "less log", waits=("IO:WALSync",))
TWO = Candidate("commit_delay", "500", "together", waits=("IO:WALSync",))
PACE = Candidate("engine.pop_gather_ms", "15", "fewer looks", "settings", feels="e2e")
DEAD = Candidate("autovacuum_vacuum_threshold", "1000", "sooner", "tables", ("partitions", "cursors"))


def _plan(**values: Any) -> Any:
    return make_plan(Inputs(**{"memory_bytes": 8 * GIB, "cpus": 4, "pg_version": 16, **values}))


def _outcome(word: str, waits: dict[str, int] | None = None, **metrics: str) -> Outcome:
    """What the bench says: the response of a push decides, and has this word."""
    words = {"response_p99": word, **metrics}
    rows = [
        {"name": name, "word": words.get(name, "same"), "ratio": 0.9, "low": 0.85, "high": 0.95}
        for name in ("rate", "response_p50", "response_p99", "e2e_p50", "e2e_p99", "cpu_us")
    ]
    return Outcome({"pairs": 5, "metrics": rows}, waits=waits)


def test_what_is_tried_in_the_order_of_what_is_usually_at_stake_and_why_not() -> None:
    found, left = candidates(_plan(commit_ms=2.0, instances=2))
    assert [one.words for one in found] == [
        "engine.pop_gather_ms = 15",
        "engine.pop_gather_ms = 1",
        "engine.push_flushes_max = 2",
        "engine.pop_flushes_max = 2",
        "autovacuum_vacuum_threshold = 1000 on partitions, cursors",
        "wal_compression = on",
        "commit_delay = 1000",
    ]
    assert {note.name for note in left} == {
        "engine.push_messages_max",
        "checkpoints",
        "fsync, full_page_writes, synchronous_commit",
    }
    found, left = candidates(_plan(fpi_share=0.01, pool_size=3))
    assert [one.where for one in found] == ["settings", "settings", "tables"]
    texts = {note.name: note.text for note in left}
    assert "1 % of the log" in texts["wal_compression"]
    assert "the pool has 3 connections" in texts["calls in flight"]
    assert "--measure-disk" in {note.name: note.text for note in candidates(_plan(instances=2))[1]}["commit_delay"]


def test_one_queen_never_commits_five_at_once_however_large_its_pool_is() -> None:
    texts = {note.name: note.text for note in candidates(_plan(commit_ms=2.0, pool_size=50))[1]}
    assert "4 sessions never commit 5 at once" in texts["commit_delay"]
    found, _ = candidates(_plan(commit_ms=2.0), EngineSettings(push_flushes_max=2))
    assert found[-1].name == "commit_delay"


def test_more_rows_a_statement_are_tried_where_more_gather_than_one_takes() -> None:
    names = [one.name for one in candidates(_plan(target_rate=30_000.0, pool_size=20))[0]]
    assert names[0] == "engine.push_messages_max"
    assert candidates(_plan(target_rate=30_000.0), EngineSettings(push_messages_max=1000))[0][0].name != names[0]


def test_what_this_queen_runs_with_is_where_the_trials_begin() -> None:
    found, _ = candidates(_plan(), EngineSettings(pop_gather_ms=0, push_flushes_max=3))
    assert [one.words for one in found if one.where == "settings"] == [
        "engine.pop_gather_ms = 1",
        "engine.push_flushes_max = 4",
        "engine.pop_flushes_max = 2",
    ]


def test_lz4_where_it_is_offered_with_a_bound_where_images_were_counted() -> None:
    found, _ = candidates(_plan(fpi_share=0.2, enumvals={"wal_compression": ("on", "off", "lz4")}))
    assert found[-1].words == "wal_compression = lz4"
    assert found[-1].bound == pytest.approx(0.25)


def test_nothing_that_durability_rests_on_is_ever_tried() -> None:
    every: tuple[dict[str, Any], ...] = (
        {},
        {"commit_ms": 3.0, "instances": 3},
        {"fpi_share": 0.25},
        {"target_rate": 30_000.0},
    )
    names = {one.name for values in every for one in candidates(_plan(**values))[0] if one.where == "postgres"}
    # A delayed answer is no weaker one: of the names that no plan may hold, only this one may be tried.
    assert names & WEAK == {"commit_delay"}


def test_the_side_of_a_candidate_has_one_change_more() -> None:
    side = BASE.plus(ONE).plus(PACE).plus(DEAD)
    assert side.postgres == ("jit = off", "wal_compression = on")
    assert side.settings == ("engine.pop_gather_ms = 15",)
    assert side.tables == (
        "partitions.autovacuum_vacuum_threshold = 1000",
        "cursors.autovacuum_vacuum_threshold = 1000",
    )


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [
        (_outcome("better"), True),
        (_outcome("better", cpu_us="worse"), True),
        (_outcome("better", e2e_p99="worse"), False),
        (_outcome("better", rate="worse"), False),
        (_outcome("better", e2e_p99="inconclusive"), True),
        (_outcome("same"), False),
        (_outcome("same", response_p50="better"), False),
        (_outcome("worse"), False),
        (_outcome("inconclusive"), False),
        (Outcome(None, "no pairs"), False),
    ],
)
def test_a_trial_is_kept_when_what_decides_is_better_and_nothing_felt_is_worse(outcome: Outcome, kept: bool) -> None:
    assert judged(ONE, outcome, RATE).kept is kept


def test_what_decides_is_what_the_candidate_is_for_and_what_a_run_has_messages_for() -> None:
    assert (deciding(ONE, RATE), deciding(PACE, RATE), deciding(PACE, 50.0)) == ("response_p99", "e2e_p99", "e2e_p50")
    assert not judged(PACE, _outcome("better"), RATE).kept
    trial = judged(PACE, _outcome("same", e2e_p99="better"), RATE)
    assert trial.kept
    assert trial.reason == "better: e2e_p99 B/A 0.900 (0.850 to 0.950), 5 pairs"


def test_what_was_kept_is_part_of_the_next_side_a_and_the_budget_ends_it() -> None:
    asked: list[tuple[Side, Side]] = []

    def run(a: Side, b: Side, _candidate: Candidate) -> Outcome:
        asked.append((a, b))
        return _outcome("better", e2e_p99="better")

    done = search([PACE, TWO], BASE, run, budget_s=2 * pair_s(5), pairs=5, rate=RATE)
    assert [trial.kept for trial in done] == [True, True]
    assert asked == [(BASE, BASE.plus(PACE)), (BASE.plus(PACE), BASE.plus(PACE).plus(TWO))]


@pytest.mark.parametrize(("takes", "tried"), [(1.0, 2), (1.6, 1)])
def test_the_budget_is_time_that_really_goes_by(takes: float, tried: int) -> None:
    now = [100.0]

    def run(_a: Side, _b: Side, _candidate: Candidate) -> Outcome:
        now[0] += takes * pair_s(5)
        return _outcome("same")

    done = search([PACE, TWO, ONE], BASE, run, budget_s=2.5 * pair_s(5), pairs=5, rate=RATE, clock=lambda: now[0])
    assert [trial.tried for trial in done] == [number < tried for number in range(3)]
    assert "the budget has fewer left" in done[2].reason


def test_what_sessions_wait_for_bounds_the_rest_and_ends_the_search() -> None:
    def run_with(waits: dict[str, int]) -> list[str]:
        tried: list[str] = []

        def run(_a: Side, _b: Side, candidate: Candidate) -> Outcome:
            tried.append(candidate.name)
            return _outcome("same", waits)

        search([ONE, PACE, TWO], BASE, run, budget_s=99 * pair_s(5), pairs=5, rate=RATE)
        return tried

    assert run_with({"CPU": 600, "IO:WALSync": 400}) == [ONE.name, PACE.name, TWO.name]
    # Nobody waits for the log: what would spare it can win nothing, and is left out with all that is worth less.
    assert run_with({"CPU": 990, "IO:WALSync": 10}) == [ONE.name, PACE.name]
    assert run_with({"CPU": 9, "IO:WALSync": 0}) == [ONE.name, PACE.name, TWO.name], "nine samples say nothing"
    assert bounded(ONE, {"CPU": 600, "IO:WALSync": 400}).bound == pytest.approx(2 / 3)


def test_the_report_says_why_the_search_ended() -> None:
    small = Candidate("wal_compression", "on", "less log", bound=0.01)
    done = search([small], BASE, lambda *_: pytest.fail("not worth it"), budget_s=1e9, pairs=5, rate=RATE)
    assert [(trial.tried, trial.reason) for trial in done] == [(False, "not tried: at most 1.0 % to win")]
