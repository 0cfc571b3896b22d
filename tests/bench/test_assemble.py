"""The record of a run, built from what was collected: here its faults."""

from __future__ import annotations

from queen.bench import rejudge
from queen.bench.ask import Ask
from queen.bench.assemble import Account, assemble
from queen.bench.chaos import parse
from queen.bench.collect import Collector
from queen.bench.faults import Struck
from queen.bench.orders import Counts, Slice
from queen.bench.result import Result
from queen.bench.workload import Workload
from tests.bench.test_slo import ledger

ZERO_S, WARM_S, MEASURED_S = 1000, 5, 40
FAULTS = parse("kill-server@10s+2s,readers@25s+2s")


def collected() -> Collector:
    """One worker, 100 messages a second, none in the two seconds of the first fault; the readers leave no trace."""
    collector = Collector(1, ZERO_S)
    collector.begin_measuring(WARM_S, 5)
    for second in range(WARM_S + MEASURED_S):
        down = second - WARM_S in (10, 11)
        counts = Counts(accepted=100, delivered=100, unknown=3 if second - WARM_S == 9 else 0, redelivered=7 * down)
        if down:
            counts.delivered = 0
        part = {"latencies": {}, "errors": {}, "in_flight": 0, "cpu_s": 0.1, "rss_bytes": 1}
        collector.take(Slice(worker=0, phase="load", second=ZERO_S + second, counts=counts, **part))  # type: ignore[arg-type]
    collector.end_measuring(WARM_S + MEASURED_S)
    return collector


def record(*struck: Struck) -> Result:
    asked = Ask(
        mode="chaos", workload=Workload(rate=100, measure_s=MEASURED_S), slos=(), seed=1, command="", faults=FAULTS
    )
    return assemble(
        Account(
            ask=asked,
            objectives=asked.objectives(),
            collector=collected(),
            ledger=ledger(redelivered=5),
            phases=[],
            notes=[],
            null_run=None,
            workers=1,
            steady=True,
            partial=False,
            started_at="",
            duration_s=50,
            own_server=True,
            own_database=True,
            struck=list(struck),
        )
    )


def test_faults_stand_on_the_clock_of_the_run_with_what_they_hit() -> None:
    kill, readers = FAULTS.faults
    result = record(Struck(kill, 10.0, 12.0, {"other_servers": 0}), Struck(readers, 25.1, 27.1, {"readers": 4}))
    first, second = result.faults
    assert (first.at_s, first.end_s, first.baseline_per_s, first.dip_per_s) == (15, 17, 100, 0)
    assert (first.recovery_s, first.later_equals_earlier) == (0, True)
    assert first.affected["unknown"] == 3, "its first moment belongs to the second before, as workers count"
    assert first.affected["redelivered"] == 5, "no more than the ledger has seen come twice"
    assert (second.at_s, set(second.affected.values())) == (30.1, {0})
    assert not [reason for reason in result.verdict.reasons if "fault" in reason]


def test_a_fault_that_failed_or_did_not_end_makes_the_run_invalid() -> None:
    kill, _ = FAULTS.faults
    result = record(Struck(kill, 10.0, 10.0, {}, "it does not end"))
    verdict = result.verdict
    assert verdict.word == "invalid"
    assert "fault not done: kill-server: it does not end" in verdict.reasons
    assert "fault not done: readers: it had not ended in time" in verdict.reasons
    assert rejudge.again(result).verdict.reasons == verdict.reasons
