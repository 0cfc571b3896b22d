"""Comparison of runs: who may be a side, what decides, what is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from queen.bench import compare_text
from queen.bench.ab import PAIRS_DEFAULT, Interleaved
from queen.bench.compare import Comparison, compare, sides_of
from queen.bench.result import Campaign, Result, Verdict, Word
from queen.bench.workload import Workload
from queen.cli.console import REFUSED, exit_code
from queen.errors import ComparisonRefused, SettingsError
from tests.support import bench_runs
from tests.support.bench_runs import run


def side(truth: float, seed: int, pairs: int = PAIRS_DEFAULT, noise: float = 0.03, **changes: Any) -> list[Result]:
    """Runs whose latency and costs are `truth` times the plain ones, give or take."""
    scatter = np.exp(noise * np.random.default_rng(seed).standard_normal((pairs, 2)))
    return [run(p99=20 * truth * float(x), cost=truth * float(y), **changes) for x, y in scatter]


def quick(a: Any, b: Any, **options: Any) -> Comparison:
    return compare(a, b, resamples=500, **options)


def test_runs_of_the_same_are_rarely_worse_and_a_tenth_more_is_seen() -> None:
    same = [quick(side(1, 2 * n), side(1, 2 * n + 1)).word for n in range(100)]
    assert same.count("worse") <= 5
    more = [quick(side(1, 2 * n), side(1.1, 2 * n + 1)).word for n in range(100)]
    assert more.count("worse") >= 90


@pytest.mark.parametrize(("truth", "word", "code"), [(1.2, "worse", 1), (0.8, "better", 0)])
def test_the_word_and_the_exit_code(truth: float, word: str, code: int) -> None:
    found = quick(side(1, 1), side(truth, 2))
    assert (found.word, found.exit_code, found.basis, found.pairs) == (word, code, "pairs", PAIRS_DEFAULT)
    assert found.line.startswith(f"{word.upper()} response_p99 B/A {'1.' if truth > 1 else '0.'}")


def test_what_does_not_scatter_is_the_same() -> None:
    found = quick(side(1, 1, noise=0), side(1, 2, noise=0))
    assert (found.word, found.exit_code) == ("same", 0)


def test_inconclusive_says_how_many_further_pairs_would_do() -> None:
    found = quick(side(1, 5, noise=0.1), side(1.1, 6, noise=0.1))
    assert (found.word, found.exit_code) == ("inconclusive", 5)
    deciding = next(one for one in found.metrics if one.decides)
    assert deciding.further_pairs
    assert f"about {deciding.further_pairs} further pairs needed" in found.line


def test_fewer_than_five_pairs_decide_nothing() -> None:
    found = quick(side(1, 1, pairs=4), side(2, 2, pairs=4))
    assert found.exit_code == 5
    assert "4 pairs are an anecdote" in found.line


def test_one_metric_decides_and_the_others_inform() -> None:
    a, b = side(1, 1), [run(p99=20, cost=1.5) for _ in range(PAIRS_DEFAULT)]
    assert quick(a, b, decide="wal_bytes").word == "worse"
    words = {one.name: one.word for one in quick(a, b).metrics}
    assert words["wal_bytes"] == words["cpu_us"] == "worse"
    assert words["response_p99"] != "worse"
    assert quick(a, b).decide == ["response_p99"]


def test_a_higher_rate_is_better_and_a_lower_one_worse() -> None:
    a, b = (side(1, 1, rate=rate) for rate in (10_000, 12_000))
    assert quick(a, b, decide="rate").word == "better"
    assert quick(b, a, decide="rate").word == "worse"


@pytest.mark.parametrize("word", ["partial", "invalid", "wrong"])
def test_a_run_that_is_no_measurement_is_refused(word: Word) -> None:
    with pytest.raises(ComparisonRefused, match=f"B of .* is {word}"):
        quick(run(), run(word=word))


def test_a_run_that_missed_its_objectives_is_a_measurement() -> None:
    assert quick(side(1, 1), side(1.3, 2, word="fail")).word == "worse"


def test_other_fingerprints_are_refused_unless_across() -> None:
    a, b = side(1, 1), side(1.2, 2, fingerprint_hash="other")
    with pytest.raises(ComparisonRefused) as caught:
        quick(a, b)
    assert "--across" in (caught.value.hint or "")
    assert exit_code(caught.value) == REFUSED
    found = quick(a, b, across=True)
    assert (found.word, found.decide) == ("worse", ["cpu_us"])
    assert {one.name for one in found.metrics} == {
        "cpu_us", "server_cpu_us", "postgres_cpu_us", "wal_bytes", "commits", "statements",
    }  # fmt: skip


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SettingsError, match="did you mean response_p99"):
        quick(run(), run(), decide="respons_p99")
    with pytest.raises(SettingsError, match="cannot decide across"):
        quick(run(), run(), decide="rate", across=True)
    with pytest.raises(SettingsError, match="gate decides"):
        quick(run(), run(), decide="rate", gate=True)
    with pytest.raises(SettingsError, match="min-effect"):
        quick(run(), run(), min_effect=3)


def test_a_percentile_of_too_few_samples_is_not_compared() -> None:
    few = {"response": bench_runs.percentiles(20, count=9_999), "e2e": bench_runs.percentiles(20)}
    found = quick(side(1, 1, latency=few), side(2, 2))
    deciding = next(one for one in found.metrics if one.decides)
    assert (deciding.reason, deciding.ratio, found.exit_code) == ("n/a (needs 10,000)", None, 5)


def test_the_gate_looks_at_costs_and_only_widely_at_the_clock() -> None:
    a = side(1, 1, noise=0.005)
    slower = [run(p99=26, cost=1) for _ in a]
    assert quick(a, slower, gate=True).word == "same"
    assert quick(a, [run(p99=60, cost=1) for _ in a], gate=True).word == "worse"
    dearer = quick(a, side(1.1, 3, noise=0.005), gate=True)
    assert (dearer.word, dearer.exit_code) == ("worse", 1)
    assert quick(a, side(1, 3, noise=0.2), gate=True).word == "inconclusive"


def single(p99: float, cost: float, seed: int, seconds: int = 30) -> Result:
    busy: list[float | None] = [0.3 * cost + 0.01 * float(x) for x in np.random.default_rng(seed).random(3 + seconds)]
    tenk: list[float | None] = [10_000.0] * (3 + seconds)
    values = {"server_cpu": busy, "postgres_cpu": busy, "acked": tenk, "delivered": tenk}
    return run(
        p99=p99,
        cost=cost,
        slices={"response": bench_runs.slices(seconds, p99, seed)},
        series=bench_runs.series(seconds, values),
    )


def test_two_single_runs_are_compared_within_the_runs_and_say_so() -> None:
    found = quick(single(20, 1, 1), single(26, 1.3, 2))
    assert (found.basis, found.pairs, found.word) == ("within_run", 0, "worse")
    assert "within-run only" in found.line
    costs = next(one for one in found.metrics if one.name == "cpu_us")
    assert costs.ratio == pytest.approx(1.3)
    assert costs.word == "worse"
    assert next(one for one in found.metrics if one.name == "rate").word == "same"
    assert quick(single(20, 1, 1), single(20, 1, 2)).word == "same"


def test_single_runs_that_are_too_short_decide_nothing() -> None:
    found = quick(single(20, 1, 1, seconds=15), single(40, 1, 2, seconds=15))
    assert found.exit_code == 5
    assert "needs 20 s" in found.line


def test_workloads_that_differ_are_named() -> None:
    a = side(1, 1, workload=Workload(push_batch=10))
    found = quick(a, side(1, 2, workload=Workload(push_batch=100)))
    assert found.notes == ["workloads differ: push_batch 10 → 100"]


def campaign_of(a: list[Result], b: list[Result]) -> Campaign:
    done = Interleaved(a=a, b=b)
    found = quick(*done.sides())
    return compare_text.campaign(
        done, found, queen_version="0", started_at="now", duration_s=1, command="queen bench --ab"
    )


def test_an_interleaved_comparison_is_an_input_too() -> None:
    a, b = side(1, 1), side(1.2, 2)
    kept = campaign_of(a, b)
    assert (kept.verdict.word, kept.verdict.exit_code) == ("fail", 1)
    assert sides_of([kept]) == (a, b)
    assert sides_of([a[0], b[0]]) == (a[:1], b[:1])
    with pytest.raises(ComparisonRefused, match="cannot compare run, ab"):
        sides_of([a[0], kept])


def test_a_ledger_that_is_not_clean_decides_alone() -> None:
    wrong = Verdict(word="wrong", exit_code=6, line="WRONG lost 1", reasons=["lost 1"])
    done = Interleaved(stopped="run 3 (B) is wrong: lost 1", wrong=wrong)
    kept = compare_text.campaign(done, None, queen_version="0", started_at="now", duration_s=1, command="")
    assert (kept.verdict, kept.partial) == (wrong, True)


def test_the_text_holds_every_metric_and_ends_with_the_line() -> None:
    found = quick(side(1, 1), side(1.2, 2))
    lines = compare_text.text(found).splitlines()
    assert lines[-1] == f"result {found.line}"
    for one in found.metrics:
        assert sum(f" {one.name} " in line for line in lines[2:-1]) == 1
    assert max(map(len, lines)) <= 110
    assert compare_text.text(quick(run(), run()))
