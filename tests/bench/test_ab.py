"""Interleaved comparisons: order, files of the sides, and runs that do not count."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from queen.bench import ab
from queen.bench.result import Result, Word
from queen.bench.workload import Workload
from queen.errors import SettingsError
from tests.support.bench_runs import run


def files(folder: Path, a: str = "push_batch: 10\n", b: str = "push_batch: 100\nserve: [--pool-size 50]\n") -> ab.Plan:
    (folder / "a.yaml").write_text(a, "utf-8")
    (folder / "b.yaml").write_text(b, "utf-8")
    return ab.plan(folder / "a.yaml", folder / "b.yaml", Workload(rate=2000), pairs=5, seed=4)


def test_each_pair_is_turned_against_the_one_before() -> None:
    assert "".join(ab.order(5)) == "ABBAABBAAB"
    for pairs in (5, 8, 9):
        order = ab.order(pairs)
        assert order.count("A") == order.count("B") == pairs


def test_the_sides_are_files_above_the_common_workload(tmp_path: Path) -> None:
    plan = files(tmp_path)
    assert (plan.a.push_batch, plan.b.push_batch, plan.a.rate, plan.b.rate) == (10, 100, 2000, 2000)
    assert (plan.a.serve, plan.b.serve) == ((), ("--pool-size", "50"))
    assert plan.workload("B") is plan.b


def test_mistakes_are_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"b\.yaml:1.*did you mean push_batch"):
        files(tmp_path, b="push_bach: 5\n")
    with pytest.raises(SettingsError, match="30 s or more"):
        files(tmp_path, a="measure_s: 10s\n")
    with pytest.raises(SettingsError, match="from 5"):
        ab.plan(tmp_path / "a.yaml", tmp_path / "a.yaml", Workload(), pairs=4, seed=1)
    with pytest.raises(SettingsError, match="no such file"):
        ab.plan(tmp_path / "none.yaml", tmp_path / "a.yaml", Workload(), seed=1)


def driven(plan: ab.Plan, words: Iterator[Word]) -> tuple[ab.Interleaved, str]:
    labels = []

    async def run_one(label: ab.Label, workload: Workload) -> Result:
        labels.append(label)
        assert workload == plan.workload(label)
        return run(word=next(words), workload=workload)

    return asyncio.run(ab.interleave(plan, run_one)), "".join(labels)


def test_all_runs_in_order_make_pairs(tmp_path: Path) -> None:
    done, labels = driven(files(tmp_path), iter(["pass", "fail"] * 5))
    assert labels == "ABBAABBAAB"
    assert [len(side) for side in done.sides()] == [5, 5]
    assert [result.request.workload.push_batch for result in done.runs()] == [10, 100] * 5
    assert done.stopped is None


def test_an_invalid_run_is_made_again_and_not_for_ever(tmp_path: Path) -> None:
    again: list[Word] = ["pass"] * 11
    again[1] = "invalid"
    done, labels = driven(files(tmp_path), iter(again))
    assert (labels, len(done.steps), done.stopped) == ("ABBBAABBAAB", 11, None)
    done, labels = driven(files(tmp_path), iter(["pass", "pass", "pass", "invalid", "invalid", "invalid"]))
    assert labels == "ABBAAA"
    assert [len(side) for side in done.sides()] == [1, 1]
    assert done.stopped is not None
    assert "(A) is invalid" in done.stopped


@pytest.mark.parametrize("word", ["wrong", "partial"])
def test_a_run_that_is_wrong_or_cut_short_ends_it(tmp_path: Path, word: Word) -> None:
    done, labels = driven(files(tmp_path), iter(["pass", word]))
    assert labels == "AB"
    assert (done.wrong is not None) == (word == "wrong")
    assert done.runs() == []
