"""Several runs under one question, with made-up runs: what is asked of each, and the record that comes of them."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from queen.bench import ab, sweep
from queen.bench.ask import Ask
from queen.bench.campaign import STEP_MEASURE_S, STEP_WARMUP_S, paired, searched, swept
from queen.bench.result import NullRun, Result, Verdict, Word
from queen.bench.workload import Workload
from tests.support import bench_results

_PASSED = functools.cache(bench_results.passed)
EXIT = {"pass": 0, "fail": 1, "invalid": 5, "wrong": 6, "partial": 130}


def made(ask: Ask, word: Word) -> Result:
    """A result of this word for what was asked."""
    result = _PASSED()
    request = msgspec.structs.replace(result.request, workload=ask.workload, workers=ask.workers or 2, mode=ask.mode)
    flat = {**result.series.values, "backlog": [0.0] * len(result.series.second)}
    return msgspec.structs.replace(
        result,
        request=request,
        fingerprint={
            "machine": "m",
            "postgres": {
                "version": "15",
                "settings": list(ask.workload.postgres),
                "storage": list(ask.workload.tables),
            },
            "settings": {"serve": list(ask.workload.serve)},
        },
        fingerprint_hash=str(ask.workload.serve),
        partial=word == "partial",
        series=msgspec.structs.replace(result.series, values=flat),
        verdict=Verdict(word=word, exit_code=EXIT[word], line=word.upper(), reasons=[] if word == "pass" else ["why"]),
    )


class Runs:
    """Makes runs: one passes up to `holds` messages a second; at call `at` it has another word."""

    def __init__(self, holds: float = 1e9, *, at: int = -1, word: Word = "partial") -> None:
        self.holds, self.at, self.word = holds, at, word
        self.asked: list[Ask] = []

    async def __call__(self, ask: Ask) -> Result:
        self.asked.append(ask)
        if len(self.asked) == self.at:
            return made(ask, self.word)
        return made(ask, "pass" if ask.rate <= self.holds else "fail")


def asked(mode: Any, **more: Any) -> Ask:
    workload = more.pop("workload", Workload(rate=1000))
    return Ask(mode=mode, workload=workload, slos=(), seed=1, command="queen bench", **more)


async def prove(ask: Ask) -> tuple[int, NullRun]:
    return 1, msgspec.structs.replace(bench_results.null_run(), cpu_share_total=0.3)


def search(runs: Runs) -> Any:
    return asyncio.run(searched(asked("search"), runs, prove))


def test_a_search_confirms_the_pair_and_its_steps_are_short() -> None:
    runs = Runs(holds=5000)
    found = search(runs)
    assert (found.kind, found.verdict.word, found.partial) == ("search", "pass", False)
    steps, whole = runs.asked[:-2], runs.asked[-2:]
    assert {(one.workload.warmup_s, one.workload.measure_s) for one in steps} == {(STEP_WARMUP_S, STEP_MEASURE_S)}
    assert not any(one.null_run for one in steps)
    assert all(one.null_run and one.workers is None for one in whole)
    assert whole[0].rate == pytest.approx(5000, rel=0.031)
    assert whole[1].rate == pytest.approx(0.7 * whole[0].rate)
    assert [run.request.workload.rate for run in found.runs] == [one.rate for one in whole]


def test_the_steps_of_a_search_get_workers_by_what_the_null_run_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    runs = Runs(holds=10_000)
    search(runs)
    workers = {round(one.rate): one.workers for one in runs.asked if not one.null_run}
    assert workers[1000] == 1
    assert workers[round(1000 * 1.5**3)] == 2
    assert workers[round(1000 * 1.5**6)] == 4


@pytest.mark.parametrize(("word", "code"), [("partial", 130), ("wrong", 6)])
@pytest.mark.parametrize("at", [1, 3, 10])
def test_a_search_ends_at_a_run_that_is_cut_short_or_wrong(at: int, word: Word, code: int) -> None:
    runs = Runs(holds=5000, at=at, word=word)
    found = search(runs)
    assert len(runs.asked) == at
    assert (found.verdict.word, found.verdict.exit_code, len(found.steps), found.runs) == (word, code, at, [])
    assert found.partial is (word == "partial")


def swept_over(text: str, runs: Runs) -> Any:
    return asyncio.run(swept(asked("sweep", sweep=sweep.parse(text)), runs))


def test_a_sweep_runs_every_value() -> None:
    runs = Runs(holds=2500)
    found = swept_over("rate=1000..4000x3", runs)
    assert [one.rate for one in runs.asked] == [1000, 2000, 4000]
    assert [step.setting for step in found.steps] == [{"rate": 1000}, {"rate": 2000}, {"rate": 4000}]
    assert [step.held for step in found.steps] == [True, True, False]
    assert "2 of 3 steps held" in found.verdict.line
    assert found.verdict.exit_code == 0


def test_a_sweep_that_is_cut_short_keeps_its_steps() -> None:
    found = swept_over("batch=1,10,100", Runs(at=2))
    assert (found.partial, found.verdict.exit_code, len(found.steps)) == (True, 130, 2)


def test_a_sweep_without_a_valid_step_is_invalid() -> None:
    class Invalid(Runs):
        async def __call__(self, ask: Ask) -> Result:
            return made(ask, "invalid")

    found = swept_over("batch=1,10", Invalid())
    assert (found.verdict.word, found.verdict.exit_code) == ("invalid", 5)


def pairs(folder: Path, runs: Runs, **more: Any) -> Any:
    (folder / "a.yaml").write_text("rate: 1000\n", "utf-8")
    (folder / "b.yaml").write_text("rate: 1000\nserve: [--pool-size 50]\n", "utf-8")
    base = Workload(rate=1000)
    plan = ab.plan(folder / "a.yaml", folder / "b.yaml", base, pairs=5, seed=1)
    return asyncio.run(paired(asked("ab", workload=base, sides=plan, **more), runs))


def test_a_comparison_runs_in_turns_with_one_proof_a_side(tmp_path: Path) -> None:
    runs = Runs()
    found = pairs(tmp_path, runs)
    served = ["B" if one.workload.serve else "A" for one in runs.asked]
    assert "".join(served) == "ABBAABBAAB"
    assert [one.null_run for one in runs.asked] == [True, True, *[False] * 8]
    assert [one.workers for one in runs.asked] == [None, *[2] * 9]
    assert found.comparison is not None
    assert found.comparison["pairs"] == 5
    assert (found.comparison["word"], found.verdict.exit_code) == ("same", 0)
    assert found.verdict.line == found.comparison["line"]
    assert len(found.runs) == 10


@pytest.mark.parametrize("knob", ["postgres: ['work_mem = 9MB']", "tables: ['cursors.fillfactor = 50']"])
def test_settings_of_postgresql_and_of_tables_may_be_what_is_compared(tmp_path: Path, knob: str) -> None:
    (tmp_path / "a.yaml").write_text("postgres: [defaults]\n", "utf-8")
    (tmp_path / "b.yaml").write_text(f"{knob}\n", "utf-8")
    base = Workload(rate=1000, postgres=("defaults",))
    plan = ab.plan(tmp_path / "a.yaml", tmp_path / "b.yaml", base, pairs=5, seed=1)
    found = asyncio.run(paired(asked("ab", workload=base, sides=plan), Runs()))
    assert found.comparison is not None
    assert (found.comparison["pairs"], found.verdict.exit_code) == (5, 0)


def test_a_comparison_that_is_cut_short_compares_nothing(tmp_path: Path) -> None:
    found = pairs(tmp_path, Runs(at=4))
    assert (found.partial, found.verdict.exit_code, found.comparison) == (True, 130, None)
    assert len(found.runs) == 2


def test_a_wrong_ledger_outweighs_the_comparison(tmp_path: Path) -> None:
    found = pairs(tmp_path, Runs(at=10, word="wrong"))
    assert (found.verdict.word, found.verdict.exit_code) == ("wrong", 6)


def test_objectives_of_the_command_hold_for_both_sides(tmp_path: Path) -> None:
    runs = Runs()
    (tmp_path / "a.yaml").write_text("slos: ['p99(e2e)<1ms']\n", "utf-8")
    plan = ab.plan(tmp_path / "a.yaml", tmp_path / "a.yaml", Workload(rate=1000), pairs=5, seed=1)
    ask = asked("ab", workload=Workload(rate=1000), sides=plan)
    asyncio.run(paired(ask, runs))
    assert {one.slos for one in runs.asked} == {("p99(e2e)<1ms",)}
    runs = Runs()
    asyncio.run(paired(msgspec.structs.replace(ask, slos=("p99(e2e)<9s",)), runs))
    assert {one.slos for one in runs.asked} == {("p99(e2e)<9s",)}
