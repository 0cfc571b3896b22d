"""The outcome of a run: rank, verdict, what all repairs bring together. Pure."""

from __future__ import annotations

from queen.doctor.finding import Stake
from queen.doctor.report import saturated
from tests.doctor.invented import FIRST, SECOND, finding, report, result


def test_findings_are_ranked_by_stake_then_severity_then_catalogue_then_object() -> None:
    seen = report(
        result(FIRST, finding("warn", object_="b"), finding("warn", object_="a"), finding("crit", object_="c")),
        result(SECOND, finding("info", object_="d", stake=Stake("bound", 0.0, 8.0)), finding("warn", object_="e")),
    )
    assert [one.finding.object for one in seen.ranked()] == ["d", "c", "a", "b", "e"]


def test_nothing_seen_is_unknown_and_not_healthy() -> None:
    skipped = result(FIRST, status="skipped", reason="no")
    assert report(skipped).verdict == "unknown"
    assert report(skipped, result(SECOND, status="error", reason="bug")).verdict == "unknown"
    assert report(skipped, result(SECOND)).verdict == "healthy"
    assert report(skipped, result(SECOND, finding("crit"))).verdict == "crit"
    assert report(result(FIRST, status="error", reason="bug"), result(SECOND, finding("warn"))).verdict == "warn"


def test_stakes_are_joined_and_never_added() -> None:
    half = Stake("bound", 0.0, 100.0, "wait share", time_share=0.5)
    both = report(result(FIRST, finding(stake=half)), result(SECOND, finding(stake=half)))
    assert both.together_pct == 300.0, "three quarters of the time explained: at most four times the rate"
    assert report(result(FIRST, finding())).together_pct is None


def test_what_is_saturated() -> None:
    assert saturated(0.25, None, None) is True
    assert saturated(0.1, 0.9, None) is True
    assert saturated(0.1, 0.1, 0.8) is True
    assert saturated(0.1, 0.1, 0.1) is False
    assert saturated(0.1, None, None) is None


def test_counts() -> None:
    seen = report(result(FIRST, finding("warn"), finding("crit")), result(SECOND, status="skipped", reason="no"))
    assert seen.severities() == {"crit": 1, "warn": 1, "info": 0}
    assert (seen.count("crit"), seen.count("skipped"), seen.worst()) == (1, 1, 3)
