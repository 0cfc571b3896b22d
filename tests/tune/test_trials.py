"""Which settings may be tried, what is never tried, and when a trial is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from queen.tune.inputs import GIB, Inputs
from queen.tune.plan import make_plan
from queen.tune.trials import Candidate, candidates, judged, pair_s, search
from tests.tune.plans import WEAK

ONE, TWO = Candidate("wal_compression", "on", "less log"), Candidate("commit_delay", "500", "together")


def _plan(**values: Any) -> Any:
    return make_plan(Inputs(memory_bytes=8 * GIB, cpus=4, pg_version=16, **values))


def _comparison(word: str, **metrics: str) -> dict[str, Any]:
    """A comparison as the bench keeps it."""
    rows = [{"name": name, "word": metrics.get(name, "same")} for name in ("rate", "response_p99", "e2e_p99", "cpu_us")]
    return {"word": word, "line": f"{word.upper()} by some", "metrics": rows}


def test_what_is_tried_and_why_not() -> None:
    found, left = candidates(_plan(commit_ms=2.0))
    assert [one.line for one in found] == ["wal_compression = on", "commit_delay = 1000"]
    assert {note.name for note in left} == {"checkpoints, vacuum", "fsync, full_page_writes, synchronous_commit"}
    found, left = candidates(_plan(fpi_share=0.01, pool_size=3))
    assert found == []
    texts = {note.name: note.text for note in left}
    assert "1 % of the log" in texts["wal_compression"]
    assert "never commit 5 at once" in texts["commit_delay"]
    assert "--measure-disk" in {note.name: note.text for note in candidates(_plan())[1]}["commit_delay"]


def test_the_largest_known_stake_comes_first_and_lz4_where_it_is_offered() -> None:
    found, _ = candidates(_plan(fpi_share=0.2, commit_ms=1.0, enumvals={"wal_compression": ("on", "off", "lz4")}))
    assert [one.name for one in found] == ["commit_delay", "wal_compression"]
    assert found[1].value == "lz4"
    assert found[1].bound == pytest.approx(0.25)


def test_nothing_that_durability_rests_on_is_ever_tried() -> None:
    names = {
        one.name for values in ({}, {"commit_ms": 3.0}, {"fpi_share": 0.25}) for one in candidates(_plan(**values))[0]
    }
    assert names == {"wal_compression", "commit_delay"}
    # A delayed answer is no weaker one: of the names that no plan may hold, only this one may be tried.
    assert names & WEAK == {"commit_delay"}


@pytest.mark.parametrize(
    ("comparison", "kept"),
    [
        (_comparison("better"), True),
        (_comparison("better", cpu_us="worse"), True),
        (_comparison("better", e2e_p99="worse"), False),
        (_comparison("same"), False),
        (_comparison("worse", response_p99="worse"), False),
        (_comparison("inconclusive"), False),
        (None, False),
    ],
)
def test_a_trial_is_kept_when_it_is_better_and_nothing_felt_is_worse(comparison: Any, kept: bool) -> None:
    assert judged(ONE, comparison, "no pairs").kept is kept


def test_what_was_kept_is_part_of_the_next_side_a_and_the_budget_ends_it() -> None:
    asked: list[tuple[list[str], list[str]]] = []

    def run(a: Sequence[str], b: Sequence[str]) -> tuple[Mapping[str, Any] | None, str]:
        asked.append((list(a), list(b)))
        return _comparison("better"), ""

    done = search([ONE, TWO], ["jit = off"], run, 2 * pair_s(5), 5)
    assert [trial.kept for trial in done] == [True, True]
    assert asked == [
        (["jit = off"], ["jit = off", "wal_compression = on"]),
        (["jit = off", "wal_compression = on"], ["jit = off", "wal_compression = on", "commit_delay = 500"]),
    ]
    asked.clear()
    done = search([ONE, TWO], [], run, 2 * pair_s(5) - 1, 5)
    assert len(asked) == 1
    assert "than the budget has" in done[1].reason
