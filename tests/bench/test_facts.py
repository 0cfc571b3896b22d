"""A saved run is judged as it was when it ran, and by other objectives too."""

from __future__ import annotations

import msgspec
import pytest

from queen.bench import rejudge, slo
from queen.bench.facts import of_result
from queen.bench.result import Conditions, Request, Result, Series, Verdict
from queen.bench.verdict import Conduct
from queen.bench.workload import Workload
from queen.errors import ResultFileError
from tests.bench.test_slo import histogram, ledger
from tests.support import bench_results


def result() -> Result:
    whole, part = histogram(5, times=2000), histogram(5, times=1000)
    series = Series(
        second=[10, 11, 12, 13],
        phase=["warmup", "measure", "measure", "drain"],
        values={"delivered": [1, 900, 1100, 5], "server_rss_bytes": [9e9, 100, 200, 9e9]},
    )
    request = Request(
        mode="target",
        target_per_s=1000,
        workload=Workload(),
        slos=[],
        seed=1,
        workers=1,
        command="queen bench",
        own_server=True,
        own_database=True,
    )
    return Result(
        queen_version="0",
        started_at="now",
        duration_s=4,
        partial=False,
        request=request,
        fingerprint={},
        fingerprint_hash="",
        phases=[],
        null_run=None,
        offered_per_s=1000,
        sent_per_s=1000,
        accepted_per_s=1000,
        delivered_per_s=1000,
        backlog_max=3,
        errors={},
        error_share=0,
        latency={},
        histograms={"e2e": whole.encode()},
        slices={"e2e": [part.encode(), None]},
        slice_s=1,
        series=series,
        ledger=ledger(),
        server=None,
        postgres=None,
        costs=None,
        bottleneck=None,
        faults=[],
        slos=[],
        verdict=Verdict(word="pass", exit_code=0, line="", reasons=[]),
        notes=[],
    )


@pytest.mark.parametrize(
    ("text", "held", "value"),
    [
        ("p99(e2e)<10ms", True, 5),
        ("p99(e2e)<4ms", False, 5),
        ("p99(e2e)<10ms for 1s", False, None),
        ("rate(delivered)>=0.99*target", True, 1000),
        ("rate(delivered)>=950 for 1s", False, 900),
        ("rss<1KiB for 2s", True, 200),
        ("backlog<=3", True, 3),
        ("lost==0", True, 0),
    ],
)
def test_a_saved_run_can_be_judged_again(text: str, held: bool, value: float | None) -> None:
    saved = msgspec.json.decode(msgspec.json.encode(result()), type=Result)
    facts = of_result(saved)
    found = slo.check(slo.parse(text, facts.target), facts)
    assert found.held == held
    assert found.value == (None if value is None else pytest.approx(value, rel=0.01))


def test_judging_again_by_the_same_objectives_says_the_same() -> None:
    saved = bench_results.passed()
    judged = rejudge.again(saved)
    assert judged.verdict.word == "pass"
    assert {one.text for one in judged.slos} == {one.text for one in saved.slos}
    assert judged.verdict.line.startswith("PASS 10,000 msg/s for 30 s")
    assert msgspec.structs.replace(judged, slos=saved.slos, verdict=saved.verdict) == saved


@pytest.mark.parametrize("name", ["wrong", "invalid", "partial"])
def test_other_objectives_make_no_run_better_than_it_was(name: str) -> None:
    saved = getattr(bench_results, name)()
    judged = rejudge.by(saved, ["backlog<1M"])
    assert judged.verdict.word == saved.verdict.word
    assert judged.notes[-1] == "judged again by backlog<1M"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "pass"),
        ({"steady": False}, "not steady"),
        ({"environment": ["the clock was set"]}, "environment: the clock was set"),
        ({"cpu_share_max": 0.95}, "a worker used 95% of a core"),
        ({"overflow": 7}, "7 messages waited"),
    ],
)
def test_how_the_run_was_held_is_kept_with_it(changes: dict[str, object], word: str) -> None:
    held = msgspec.structs.replace(Conduct(cpu_share_max=0.3).conditions(), **changes)
    saved = msgspec.json.decode(
        msgspec.json.encode(msgspec.structs.replace(bench_results.passed(), conditions=held)), type=Result
    )
    verdict = rejudge.again(saved).verdict
    assert (verdict.word == "pass") == (not changes)
    assert not changes or any(word in reason for reason in verdict.reasons)


def test_what_a_verdict_without_conditions_had_against_the_run_stays() -> None:
    told = ["not steady: the warm-up did not settle", "p99(e2e)<9s: too few samples: p99 needs 1,000, there are 9"]
    verdict = Verdict(word="invalid", exit_code=5, line="", reasons=told)
    judged = rejudge.again(msgspec.structs.replace(bench_results.passed(), verdict=verdict))
    assert judged.verdict.reasons == told[:1]
    conditions = Conditions(steady=True, environment=[], cpu_share_max=0.1, overflow=0, server_full=False)
    held = msgspec.structs.replace(bench_results.passed(), verdict=verdict, conditions=conditions)
    assert rejudge.again(held).verdict.word == "pass"


def test_a_damaged_histogram_is_an_error_of_the_file() -> None:
    with pytest.raises(ResultFileError, match="damaged"):
        rejudge.again(msgspec.structs.replace(result(), histograms={"e2e": "nonsense"}))
