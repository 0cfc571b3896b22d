"""Results taken together: repeats by time, generators by rate, percentiles by histogram; and what is refused."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from queen.bench import percentiles
from queen.bench.merge import merge
from queen.bench.result import Conditions, Phase, Result
from queen.errors import ResultFileError, ResultsDiffer, SettingsError
from queen.measure.histogram import LatencyHistogram
from tests.support import bench_results, bench_runs

COUNT = 30_000


def at(minute: int, second: int = 0) -> str:
    return f"2026-11-24T12:{minute:02}:{second:02}Z"


@pytest.fixture(scope="module")
def repeats() -> list[Result]:
    """Two runs, one after the other."""
    return [bench_results.passed(seed, count=COUNT, started_at=at(2 * seed)) for seed in (1, 2)]


@pytest.fixture(scope="module")
def generators() -> list[Result]:
    """Two halves of one run against the same servers; the second began a second later."""
    made = []
    for seed, rate in ((1, 6_000), (2, 4_000)):
        asked = replace(bench_results.request(rate, seed), own_server=False)
        kept = bench_results.ledger(rate * 30)
        costs = bench_runs.costs(10_000 / rate)
        run = bench_results.passed(seed, rate, COUNT, started_at=at(1, seed), request=asked, ledger=kept, costs=costs)
        made.append(run)
    return made


def test_repeats_are_told_by_their_times_and_weighted_by_them(repeats: list[Result]) -> None:
    measured = [Phase(name="measure", start_s=15, end_s=75)]
    long = replace(repeats[1], phases=measured, delivered_per_s=8_000, backlog_max=900)
    found = merge([long, repeats[0]])
    assert found.delivered_per_s == pytest.approx((9_998 * 30 + 8_000 * 60) / 90)
    assert found.request.target_per_s == 10_000
    assert found.started_at == at(2)
    assert found.duration_s == pytest.approx(116.4)
    assert found.backlog_max == 900
    assert "merged from 2 repeats, 90 s apart" in found.notes[0]
    assert found.ledger.accepted == 600_000
    assert found.verdict.word == "fail"
    assert any("rate(delivered)" in reason for reason in found.verdict.reasons)


def test_percentiles_are_those_of_all_samples(repeats: list[Result]) -> None:
    found = merge(repeats)
    for metric in ("response", "e2e"):
        whole = LatencyHistogram()
        for run in repeats:
            whole.add(LatencyHistogram.decode(run.histograms[metric]))
        assert found.latency[metric] == percentiles.of(whole)
        assert found.latency[metric].count == 2 * COUNT
    assert found.server is not None
    assert found.server.insert is not None
    assert found.server.insert.count == 60_000
    assert found.server.insert.p50 == pytest.approx(repeats[0].server.insert.p50)  # type: ignore[union-attr]


def test_repeats_follow_one_another_on_one_clock(repeats: list[Result]) -> None:
    faulty = [replace(run, faults=bench_results.chaos().faults) for run in repeats]
    found = merge(faulty)
    assert found.series.second == list(range(96))
    assert found.series.phase.count("measure") == 60
    assert found.series.values["delivered"][48:] == repeats[1].series.values["delivered"]
    assert found.series.waits["IO:WALSync"][:48] == repeats[0].series.waits["IO:WALSync"]
    assert [phase.start_s for phase in found.phases if phase.name == "measure"] == [15, 63]
    assert [fault.at_s for fault in found.faults] == [22, 32, 70, 80]
    assert found.slices["e2e"] == repeats[0].slices["e2e"] + repeats[1].slices["e2e"]


def test_rates_of_generators_add_up(generators: list[Result]) -> None:
    found = merge(generators)
    assert found.request.target_per_s == 10_000
    assert found.request.workload.rate == 10_000
    assert found.delivered_per_s == pytest.approx(9_998)
    assert found.verdict.word == "pass"
    assert found.verdict.line.startswith("PASS 10,000 msg/s for 30 s")
    assert found.ledger.accepted == 300_000
    assert found.null_run is not None
    assert found.null_run.rate_per_s == 10_000
    assert found.duration_s == pytest.approx(58.2)
    assert "queen bench --target 6000" in found.request.command
    assert "queen bench --target 4000" in found.request.command


def test_seconds_of_generators_add_up_by_the_clock(generators: list[Result]) -> None:
    first, second = generators
    found = merge([second, first])
    values = found.series.values
    assert found.series.second == list(range(49))
    delivered = [run.series.values["delivered"] for run in generators]
    assert values["delivered"][20] == pytest.approx((delivered[0][20] or 0) + (delivered[1][19] or 0))
    assert [found.series.phase[at] for at in (14, 15, 16, 44, 45)] == [
        "warmup",
        "warmup",
        "measure",
        "measure",
        "drain",
    ]
    assert values["server_cpu"][20] == first.series.values["server_cpu"][20]
    longest = [first.series.values["e2e_max_ms"][20] or 0, second.series.values["e2e_max_ms"][19] or 0]
    assert values["e2e_max_ms"][20] == max(longest)
    assert values["service_p99_ms"][20] is None
    whole = LatencyHistogram()
    for run in generators:
        whole.add(LatencyHistogram.decode(run.slices["e2e"][0] or ""))
    assert values["e2e_p99_ms"][16] == whole.percentile_ms(99)


def test_what_the_servers_spent_counts_once(generators: list[Result]) -> None:
    found = merge(generators)
    assert found.server == generators[0].server
    assert found.postgres == generators[0].postgres
    assert found.costs is not None
    # Each charged the servers' 300,000 x 30 us to its own messages; all messages together are 300,000.
    assert found.costs.server_cpu_us == pytest.approx(30, rel=0.01)
    assert found.costs.generator_cpu_us == pytest.approx(20)


def test_costs_of_repeats_are_weighted_by_messages(repeats: list[Result]) -> None:
    few = replace(repeats[1], ledger=bench_results.ledger(100_000), series=bench_runs.series(30))
    many = replace(repeats[0], series=bench_runs.series(30))
    found = merge([replace(many, costs=bench_runs.costs(1)), replace(few, costs=bench_runs.costs(2))])
    assert found.costs is not None
    assert found.costs.wal_bytes == pytest.approx((900 * 3 + 1800) / 4)
    assert found.costs.disk_bytes is None
    assert found.server is not None
    assert found.server.rows_per_flush["push"] == pytest.approx(24)
    assert found.server.counters["pushes"] == 60_000
    assert found.postgres is not None
    assert found.postgres.tables["cursors"]["dead_tuples"] == 900
    assert found.postgres.tables["messages"]["inserts"] == 600_000


def _changed(run: Result, field: str, value: Any) -> Result:
    if field.startswith("workload."):
        workload = replace(run.request.workload, **{field.removeprefix("workload."): value})
        return replace(run, request=replace(run.request, workload=workload))
    if field.startswith("request."):
        return replace(run, request=replace(run.request, **{field.removeprefix("request."): value}))
    return replace(run, **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("fingerprint_hash", "other", "fingerprint 3f2a9c01 and other"),
        ("queen_version", "9.9", "Queen 0.1.0 and 9.9"),
        ("workload.name", "latency", "profile baseline-10k v1 and latency v1"),
        ("workload.version", 2, "baseline-10k v1 and baseline-10k v2"),
        ("workload.payload_bytes", 99, "payload_bytes 250 and 99"),
        ("request.mode", "soak", "mode target and soak"),
        ("request.target_per_s", 1.0, "target 10000 and 1.0"),
        ("request.slos", [], "objectives"),
        ("slice_s", 1, "seconds a slice 5 and 1"),
        ("started_at", "yesterday", "cannot be read: 'yesterday'"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(repeats: list[Result], field: str, value: Any, word: str) -> None:
    with pytest.raises(ResultsDiffer, match=word):
        merge([repeats[0], _changed(repeats[1], field, value)])


def test_one_result_and_one_given_twice_are_refused(repeats: list[Result]) -> None:
    with pytest.raises(SettingsError, match="two results or more"):
        merge(repeats[:1])
    with pytest.raises(ResultsDiffer, match="given twice"):
        merge([repeats[0], repeats[1], repeats[0]])


@pytest.mark.parametrize(("name", "word"), [("wrong", "wrong"), ("invalid", "invalid"), ("partial", "partial")])
def test_what_proves_nothing_is_refused_unless_it_is_wanted(repeats: list[Result], name: str, word: str) -> None:
    unfit = replace(getattr(bench_results, name)(), started_at=at(30))
    with pytest.raises(ResultsDiffer, match=f"is {word}") as caught:
        merge([repeats[0], unfit])
    assert "--take-unfit" in (caught.value.hint or "")
    found = merge([repeats[0], unfit], unfit=True)
    assert found.verdict.word == word
    assert found.ledger.lost == unfit.ledger.lost


def test_how_they_belong_together_is_said_where_it_cannot_be_told(
    repeats: list[Result], generators: list[Result]
) -> None:
    with pytest.raises(ResultsDiffer, match="some of the runs") as caught:
        merge([*generators, replace(generators[0], started_at=at(40))])
    assert "--as" in (caught.value.hint or "")
    with pytest.raises(ResultsDiffer, match="a server of its own"):
        merge([repeats[0], replace(repeats[1], started_at=at(2, 1))])
    with pytest.raises(ResultsDiffer, match=r"only 0\.0 s of 30\.0 s"):
        merge(repeats, how="generators")
    with pytest.raises(ResultsDiffer, match=r"only 20\.0 s of 30\.0 s"):
        merge([generators[0], replace(generators[1], started_at=at(1, 11))])


def test_how_runs_were_held_is_the_worst_of_them(repeats: list[Result]) -> None:
    held = Conditions(steady=True, environment=[], cpu_share_max=0.3, overflow=0, server_full=False)
    runs = [replace(repeats[0], conditions=held), replace(repeats[1], conditions=replace(held, steady=False))]
    found = merge(runs)
    assert found.verdict.word == "invalid"
    assert found.verdict.reasons == ["not steady: the warm-up did not settle"]
    assert found.conditions == replace(held, steady=False)


def test_evidence_says_its_run_and_has_a_bound(repeats: list[Result]) -> None:
    lost = bench_results.wrong().ledger.anomalies[:1] * 15
    runs = [replace(run, ledger=bench_results.ledger(lost=15, anomalies=lost)) for run in repeats]
    found = merge(runs, unfit=True)
    assert [one.seen.split(":")[0] for one in found.ledger.anomalies] == ["run 1"] * 15 + ["run 2"] * 5
    assert found.ledger.lost == 30
    assert found.verdict.exit_code == 6


def test_a_damaged_histogram_is_an_error_of_the_file(repeats: list[Result]) -> None:
    with pytest.raises(ResultFileError, match="damaged"):
        merge([repeats[0], replace(repeats[1], histograms={"e2e": "nonsense"})])


def test_an_older_insert_histogram_is_not_made_up(repeats: list[Result]) -> None:
    assert repeats[1].server is not None
    found = merge([repeats[0], replace(repeats[1], server=replace(repeats[1].server, insert_histogram=None))])
    assert found.server is not None
    assert found.server.insert is not None
    assert (found.server.insert.count, found.server.insert.p50) == (60_000, None)
    missed = next(one for one in found.slos if one.text == "p50(insert)<1ms")
    assert (missed.held, missed.reason) == (
        False,
        "not known: the runs were merged, and their histograms were not kept",
    )


latencies_us = st.lists(st.integers(1, 5_000_000), min_size=1, max_size=40)


def _histogram(values: list[int]) -> LatencyHistogram:
    made = LatencyHistogram()
    made.record_many_us(np.array(values, dtype=np.int64))
    return made


def _small(number: int, values: list[int]) -> Result:
    kept = _histogram(values)
    return bench_runs.run(
        started_at=at(2 * number),
        rate=100.0 * (number + 1),
        histograms={"response": kept.encode()},
        latency={"response": percentiles.of(kept)},
        slices={"response": [kept.encode()]},
        ledger=bench_results.ledger(len(values)),
        request=bench_runs.run().request,
        phases=[Phase(name="measure", start_s=0, end_s=10.0 * (number + 1))],
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(latencies_us, min_size=3, max_size=5))
def test_it_does_not_matter_in_which_order_runs_are_merged(values: list[list[int]]) -> None:
    runs = [_small(number, one) for number, one in enumerate(values)]
    at_once = merge(runs)
    left = reduce(lambda one, other: merge([one, other], how="repeats"), runs)
    right = reduce(lambda one, other: merge([other, one], how="repeats"), reversed(runs))
    together = percentiles.of(_histogram([value for one in values for value in one]))
    for found in (at_once, left, right):
        assert found.latency["response"] == together
        assert found.slices == at_once.slices
        assert found.series == at_once.series
        assert found.phases == at_once.phases
        assert found.delivered_per_s == pytest.approx(at_once.delivered_per_s)
        assert replace(found.ledger, memory_bytes=0) == replace(at_once.ledger, memory_bytes=0)
