"""Verdicts: which word wins, what makes a run invalid, and the line that says it."""

from __future__ import annotations

from typing import Any

import pytest

from queen.bench import slo
from queen.bench.facts import Facts
from queen.bench.result import NullRun, Verdict
from queen.bench.verdict import Conduct, judge, lag_limit_ms, validity
from tests.bench.test_slo import histogram, ledger

SLOS = [slo.parse("p99(e2e)<50ms", 10_000)]


def null_run(*reasons: str) -> NullRun:
    return NullRun(
        rate_per_s=1,
        offered_per_s=1,
        seconds=5,
        generator_lag_p99_ms=1,
        cpu_share_max=0.1,
        cpu_share_total=0.1,
        overflow=0,
        ok=not reasons,
        reasons=list(reasons),
    )


def good(**changes: Any) -> Facts:
    latency = {
        "e2e": histogram(21, times=1000),
        "response": histogram(4, times=1000),
        "service": histogram(3, times=1000),
        "generator_lag": histogram(0.5, times=1000),
        "connection_wait": histogram(0.1, times=1000),
    }
    latency |= changes.pop("latency", {})
    base = {"target": 10_000, "delivered": 9_998, "accepted": 9_999, "ledger": ledger(), "error_share": 0.0}
    return Facts(**{"latency": latency, **base, **changes})


def verdict(facts: Facts, conduct: Conduct | None = None, *texts: str) -> Verdict:
    slos = slo.with_always([slo.parse(text, facts.target) for text in texts or ("p99(e2e)<50ms",)], facts.target)
    outcomes = slo.check_all(slos, facts)
    return judge(facts, outcomes, conduct or Conduct(), slos=slos, seconds=30, bottleneck="WAL fsync 41 %")


def test_a_pass_in_one_line() -> None:
    found = verdict(good())
    assert (found.word, found.exit_code, found.reasons) == ("pass", 0, [])
    assert found.line == (
        "PASS 10,000 msg/s for 30 s · e2e p99 21.0 ms (< 50) · lost 0 dup 0 · bottleneck: WAL fsync 41 %"
    )


def test_a_miss_names_the_objective_and_the_value() -> None:
    found = verdict(good(delivered=8_000), None, "p99(e2e)<20ms")
    assert (found.word, found.exit_code) == ("fail", 1)
    assert found.line.startswith("FAIL 8,000 msg/s for 30 s · missed rate(delivered)>=0.99*target: 8,000 msg/s;")
    assert found.reasons == ["rate(delivered)>=0.99*target: 8,000 msg/s", "p99(e2e)<20ms: 21.0 ms"]


def test_what_cannot_be_measured_is_a_miss() -> None:
    found = verdict(good(), None, "wal_per_msg<1KiB")
    assert found.word == "fail"
    assert "no database was known" in found.line


@pytest.mark.parametrize("kind", ["lost", "corrupt", "ghost", "reordered"])
def test_wrong_is_stronger_than_all_and_has_no_headline(kind: str) -> None:
    facts = good(ledger=ledger(**{kind: 3}), delivered=1)
    for conduct in (Conduct(steady=False), Conduct(partial=True)):
        found = verdict(facts, conduct)
        assert (found.word, found.exit_code, found.line) == ("wrong", 6, f"WRONG {kind} 3")


def test_duplicates_are_a_matter_of_objectives() -> None:
    facts = good(ledger=ledger(duplicated=2))
    assert verdict(facts).word == "pass"
    assert "dup 2" in verdict(facts).line
    assert verdict(facts, None, "duplicated==0").word == "fail"


@pytest.mark.parametrize(
    ("conduct", "word"),
    [
        (Conduct(null_run=null_run("lag p99 9 ms")), "generator-limited: null run: lag p99 9 ms"),
        (Conduct(steady=False), "not steady"),
        (Conduct(environment=["steal 4 %"]), "environment: steal 4 %"),
        (Conduct(faults_missed=["readers: the database is away"]), "fault not done: readers: the database is away"),
        (Conduct(cpu_share_max=0.93), "generator-limited: a worker used 93% of a core"),
        (Conduct(overflow=7), "generator-limited: 7 messages waited, and the server was not slow"),
    ],
)
def test_an_invalid_run_says_why_and_has_no_headline(conduct: Conduct, word: str) -> None:
    found = verdict(good(delivered=1), conduct)
    assert (found.word, found.exit_code) == ("invalid", 5)
    assert word in found.line
    assert "msg/s" not in found.line
    assert "e2e" not in found.line


def test_too_few_samples_are_invalid() -> None:
    found = verdict(good(), None, "p99.9(e2e)<50ms")
    assert (found.word, found.exit_code) == ("invalid", 5)
    assert "too few samples: p99.9 needs 10,000" in found.line


def test_lag_is_held_to_a_tenth_of_the_tightest_objective() -> None:
    assert lag_limit_ms([]) == 5
    limits = [slo.parse(text, None) for text in ("p99(e2e)<50ms", "p99(response)<20ms", "p50(insert)<1ms")]
    assert lag_limit_ms(limits) == pytest.approx(2)
    lagging = good(latency={"generator_lag": histogram(3, times=1000)})
    assert verdict(lagging).word == "pass"
    found = verdict(lagging, None, "p99(e2e)<25ms")
    assert (found.word, found.line) == ("invalid", "INVALID generator-limited: lag p99 3.00 ms (limit 2.50 ms)")


def test_waiting_for_a_slow_server_is_the_servers_limit() -> None:
    slow = {"generator_lag": histogram(90, times=1000), "connection_wait": histogram(40, times=1000)}
    facts = good(latency={**slow, "e2e": histogram(200, times=1000)}, delivered=7_000)
    assert validity(facts, Conduct(overflow=500, cpu_share_max=0.3), SLOS) == []
    found = verdict(facts, Conduct(overflow=500, cpu_share_max=0.3))
    assert found.word == "fail"
    assert any(reason.startswith("server-limited: 500 messages waited") for reason in found.reasons)
    busy = Conduct(overflow=500, cpu_share_max=0.95)
    assert verdict(facts, busy).word == "invalid"
    assert verdict(good(), Conduct(overflow=5, server_full=True)).word == "pass"


def test_an_interrupted_run_is_partial() -> None:
    found = verdict(good(ledger=ledger(complete=False)), Conduct(partial=True))
    assert (found.word, found.exit_code) == ("partial", 130)


def test_lost_is_not_claimed_before_the_drain_ended() -> None:
    found = verdict(good(ledger=ledger(complete=False)))
    assert found.word == "fail"
    assert "lost not known" in found.line
