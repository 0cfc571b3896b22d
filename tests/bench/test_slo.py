"""Objectives: what can be written, what is refused with which word, and how they are held against facts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from queen.bench import slo
from queen.bench.facts import Facts
from queen.bench.objective import Slo
from queen.bench.result import Costs, FaultReport, LedgerReport, Percentiles, SloOutcome
from queen.errors import SettingsError
from queen.measure.histogram import LatencyHistogram


def histogram(*values_ms: float, times: int = 1) -> LatencyHistogram:
    made = LatencyHistogram()
    made.record_many_us(np.repeat(np.array(values_ms) * 1000, times).astype(np.int64))
    return made


def ledger(**counts: Any) -> LedgerReport:
    numbers = "sent accepted unknown refused delivered redelivered acked lost duplicated reordered early corrupt ghost"
    base = dict.fromkeys([*numbers.split(), "unacked", "unknown_delivered", "dead_letters", "memory_bytes"], 0)
    flags = {"complete": True, "early_judged": True, "groups": {}, "anomalies": []}
    return LedgerReport(**{**base, **flags, **counts})


def outcome(text: str, *, target: float | None = 1000, **facts: Any) -> SloOutcome:
    return slo.check(slo.parse(text, target), Facts(**{"latency": {}, **facts}))


@pytest.mark.parametrize(
    ("text", "metric", "field", "op", "limit", "window"),
    [
        ("p99(e2e)<50ms", "p99", "e2e", "<", 50, None),
        (" p99.9( response ) <= 1.5s for 10s ", "p99.9", "response", "<=", 1500, 10),
        ("p50(insert)<800us", "p50", "insert", "<", 0.8, None),
        ("mean(generator_lag)<1ms", "mean", "generator_lag", "<", 1, None),
        ("rate(delivered)>=0.99*target", "rate", "delivered", ">=", 990, None),
        ("rate(sent) > 10k", "rate", "sent", ">", 10_000, None),
        ("errors<0.1%", "errors", None, "<", 0.001, None),
        ("lost==0", "lost", None, "==", 0, None),
        ("backlog<1M", "backlog", None, "<", 1e6, None),
        ("wal_per_msg<2KiB", "wal_per_msg", None, "<", 2048, None),
        ("cpu_per_msg<60us", "cpu_per_msg", None, "<", 60, None),
        ("rss<1GiB for 1m", "rss", None, "<", 1 << 30, 60),
        ("recovery(restart-pg)<5s", "recovery", "restart-pg", "<", 5, None),
    ],
)
def test_what_can_be_written(
    text: str, metric: str, field: str | None, op: str, limit: float, window: float | None
) -> None:
    made = slo.parse(text, 1000)
    assert (made.metric, made.field, made.op, made.window_s) == (metric, field, op, window)
    assert made.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("p98(e2e)<50ms", "did you mean p9"),
        ("p99(e2ee)<50ms", "did you mean e2e?"),
        ("p99(respones)<50ms", "did you mean response?"),
        ("rate(delivred)>1", "did you mean delivered?"),
        ("loss==0", "did you mean lost?"),
        ("recovery(restart_pg)<5s", "did you mean restart-pg?"),
        ("p99(rate)<5ms", "p99 cannot be taken of rate"),
        ("p99(lost)<5ms", "p99 cannot be taken of lost"),
        ("p99<5ms", "p99 needs a field"),
        ("errors(sent)<1%", "errors takes no field"),
        ("p99(e2e)<50", "p99 has the unit"),
        ("p99(e2e)<5KiB", "p99 has the unit"),
        ("p99(e2e)<0.9*target", "only a rate"),
        ("errors<1ms", "errors has the unit"),
        ("p99(e2e) 50ms", "not of the form"),
        ("p99(e2e)=50ms", "not of the form"),
        ("p99(e2e)<fast", "is not a value"),
        ("p99(e2e)<50ms for ever", "not a window"),
        ("p99(e2e)<50ms for 10ms", "not a window"),
        ("lost==0 for 10s", "known for the whole run only"),
        ("", "not of the form"),
    ],
)
def test_what_is_refused_and_how(text: str, word: str) -> None:
    with pytest.raises(SettingsError) as caught:
        slo.parse(text, 1000)
    assert word in caught.value.message
    assert "p99(e2e)<50ms" in (caught.value.hint or "")


def test_without_a_target_nothing_is_held_to_it() -> None:
    with pytest.raises(SettingsError, match="there is no target"):
        slo.parse("rate(delivered)>=0.99*target", None)
    assert [one.text for one in slo.always(None)] == ["lost==0", "corrupt==0", "ghost==0", "reordered==0"]


def test_those_that_are_always_on() -> None:
    texts = [one.text for one in slo.always(1000)]
    assert texts[-1] == "rate(delivered)>=0.99*target"
    assert slo.always(1000, consume="later")[-1].field == "accepted"
    assert "lost==0" not in [one.text for one in slo.always(None, consume="never")]
    asked = [slo.parse("rate( delivered ) >= 990", 1000), slo.parse("errors<1%", 1000)]
    both = slo.with_always(asked, 1000)
    assert [one.text for one in both if not one.always] == ["errors<1%"]


@pytest.mark.parametrize(
    ("op", "held"),
    [("<", [True, False, False]), ("<=", [True, True, False]), ("==", [False, True, False])],
)
def test_comparisons(op: str, held: list[bool]) -> None:
    made = slo.parse(f"backlog{op}10", None)
    assert [made.holds(value) for value in (9, 10, 11)] == held
    opposite = {"<": ">=", "<=": ">"}.get(op)
    if opposite:
        made = slo.parse(f"backlog{opposite}10", None)
        assert [made.holds(value) for value in (9, 10, 11)] == [not one for one in held]


def test_a_latency_of_the_whole_run() -> None:
    fast = histogram(10, times=1000)
    found = outcome("p99(e2e)<50ms", latency={"e2e": fast})
    assert (found.held, found.value_text, found.reason) == (True, "10.0 ms", None)
    assert not outcome("p99(e2e)<10ms", latency={"e2e": fast}).held
    assert outcome("max(e2e)<50ms", latency={"e2e": histogram(3)}).held


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("p99(e2e)<50ms", "too few samples: p99 needs 1,000, there are 999"),
        ("p99(ack)<50ms", "no ack was measured"),
        ("p50(insert)<1ms", "no insert was measured"),
        ("rate(sent)>1", "not measured"),
        ("errors<1%", "not measured"),
        ("wal_per_msg<1KiB", "no database was known"),
        ("cpu_per_msg<1ms", "processor time"),
        ("rss<1GiB", "not on this machine"),
        ("recovery(kill-server)<5s", "kill-server did not happen"),
        ("lost==0", "there is no ledger"),
        ("rate(sent)>1 for 5s", "nothing was measured"),
        ("p99(insert)<1ms for 5s", "nothing was measured"),
    ],
)
def test_what_was_not_measured_is_never_held(text: str, reason: str) -> None:
    found = outcome(text, latency={"e2e": histogram(1, times=999)})
    assert (found.held, found.value, found.value_text) == (False, None, "n/a")
    assert reason in (found.reason or "")


def test_insert_may_come_from_the_server_alone() -> None:
    known = Percentiles(count=5000, p50=0.5, p90=1, p95=2, p99=3, p99_9=None, p99_99=None, max=9, mean=0.6)
    assert outcome("p50(insert)<1ms", insert=known).held
    assert "too few samples" in (outcome("p99.9(insert)<1s", insert=known).reason or "")
    assert outcome("max(insert)<10ms", insert=known).held


def test_windows_show_what_the_whole_run_hides() -> None:
    slices = [histogram(1, times=100)] * 19 + [histogram(1, 90, times=50)]
    whole = LatencyHistogram()
    for part in slices:
        whole.add(part)
    facts: dict[str, Any] = {"latency": {"e2e": whole}, "slices": {"e2e": slices}}
    assert outcome("p90(e2e)<50ms", **facts).held
    found = outcome("p90(e2e)<50ms for 2s", **facts)
    assert (found.held, found.windows_missed) == (False, 1)
    assert found.value == pytest.approx(90, rel=0.01)
    assert found.reason == "missed in 1 of 10 windows"
    assert outcome("p90(e2e)<100ms for 2s", **facts).held


def test_a_window_without_enough_samples_is_not_held() -> None:
    slices = [histogram(1, times=1000), histogram(1, times=10), None]
    found = outcome("p99(e2e)<50ms for 1s", latency={}, slices={"e2e": slices})
    assert (found.held, found.value, found.windows_missed) == (False, None, 2)
    assert "too few samples" in (found.reason or "")
    assert "(2 of 3 windows)" in (found.reason or "")


def test_rates_errors_and_backlog_in_windows() -> None:
    series: dict[str, list[float | None]] = {
        "delivered": [1000, 1000, 400, 1000],
        "sent": [1000, 1000, 1000, 1000],
        "errors": [0, 0, 0, 40],
        "backlog": [0, 5, 600, 0],
    }
    facts: dict[str, Any] = {"series": series, "error_share": 0.01, "delivered": 850.0}
    rate = outcome("rate(delivered)>=900 for 2s", **facts)
    assert (rate.held, rate.value, rate.windows_missed) == (False, 700, 1)
    assert outcome("rate(delivered)>=700 for 2s", **facts).held
    errors = outcome("errors<1% for 2s", **facts)
    assert errors.value == pytest.approx(0.02)
    assert errors.windows_missed == 1
    assert outcome("backlog<100 for 2s", **facts).value == 600


def test_ledger_classes() -> None:
    assert outcome("lost==0", ledger=ledger()).held
    assert not outcome("duplicated==0", ledger=ledger(duplicated=2)).held
    drained = outcome("lost==0", ledger=ledger(complete=False))
    assert (drained.held, drained.reason) == (False, "not known: the drain did not reach its end")
    assert outcome("early==0", ledger=ledger(early_judged=False)).value is None


def fault(name: str, recovery_s: float | None) -> FaultReport:
    none = dict.fromkeys(
        ("baseline_per_s", "dip_per_s", "later_per_s", "later_equals_earlier", "baseline_p99_ms", "later_p99_ms")
    )
    return FaultReport(name=name, at_s=1, end_s=2, recovery_s=recovery_s, affected={}, notes=[], **none)


def test_recovery_is_that_of_the_slowest() -> None:
    faults = [fault("restart-pg", 2), fault("restart-pg@20s", 4), fault("kill-server", None)]
    assert outcome("recovery(restart-pg)<5s", faults=faults).value == 4
    never = outcome("recovery(kill-server)<5s", faults=faults)
    assert (never.held, never.value) == (False, None)


def test_costs() -> None:
    costs = Costs(
        server_cpu_us=20,
        postgres_cpu_us=30,
        generator_cpu_us=9,
        wal_bytes=500,
        commits=1,
        statements=1,
        disk_bytes=None,
        wire_bytes=None,
    )
    assert outcome("cpu_per_msg<=50us", costs=costs).held
    assert outcome("wal_per_msg<1KiB", costs=costs).value_text == "500 B"


def test_all_of_them() -> None:
    asked: list[Slo] = [slo.parse("errors<1%", 1000)]
    facts = Facts(latency={}, ledger=ledger(lost=1), delivered=995, error_share=0)
    found = slo.check_all(slo.with_always(asked, 1000), facts)
    assert [one.text for one in found if not one.held] == ["lost==0"]
    assert [one.always for one in found] == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("text", "facts", "margin"),
    [
        ("backlog<200", {"backlog_max": 50}, 0.75),
        ("backlog<200", {"backlog_max": 300}, -0.5),
        ("backlog<200", {}, None),
        ("rate(delivered)>=0.5*target", {"delivered": 600}, 0.2),
        ("rate(delivered)>=0.5*target", {"delivered": 400}, -0.2),
        ("backlog==200", {"backlog_max": 150}, -0.25),
        ("lost==0", {"ledger": ledger(lost=3)}, None),
    ],
)
def test_the_margin_is_a_share_of_the_limit_and_below_zero_when_missed(
    text: str, facts: dict[str, Any], margin: float | None
) -> None:
    found = outcome(text, **facts)
    assert found.margin == (None if margin is None else pytest.approx(margin))
    assert margin is None or found.held == (margin >= 0)


def test_the_margin_of_windows_is_that_of_the_worst() -> None:
    found = outcome("backlog<200 for 1s", series={"backlog": [50, 150, 100]})
    assert found.margin == pytest.approx(0.25)
