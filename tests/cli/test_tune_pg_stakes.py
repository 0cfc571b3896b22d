"""The column "at stake" of `queen tune-pg --diff`: the doctor's formula where there is one, and nothing made up."""

from __future__ import annotations

from typing import Any

import pytest

from queen.cli.tune_pg.stakes import CHECKS, of
from queen.doctor.catalogue import catalogue
from queen.doctor.finding import NO_STAKE, Finding, Result, Stake
from queen.tune.flow.wanted import Wanted


def _wish(name: str, kind: Any = "server", thing: str = "") -> Wanted:
    return Wanted(kind, thing, name, "1", "reload")


def _result(check: str, *findings: Finding, status: Any = "warn", reason: str | None = None) -> dict[str, Result]:
    return {check: Result(check, "wal", "title", status, tuple(findings), reason)}


def _finding(stake: Stake, thing: str | None = None) -> Finding:
    return Finding("warn", "summary", {}, "remedy", thing, at_stake=stake)


def test_a_formula_s_answer_is_told_with_its_kind_and_its_check() -> None:
    modelled = Stake("modelled", 8.0, 17.0, "WAL ceiling")
    found = of(_wish("max_wal_size"), _result("W1", _finding(NO_STAKE), _finding(modelled)))
    assert (found.kind, found.low_pct, found.high_pct) == ("modelled", 8.0, 17.0)
    assert found.words == "8 to 17 % (W1, modelled by WAL ceiling)"
    bound = of(_wish("wal_buffers"), _result("W4", _finding(Stake("bound", 0.0, 5.0, "wait share"))))
    assert bound.words == "at most 5 % (W4, bound by wait share)"


def test_a_finding_of_another_table_says_nothing_of_this_one() -> None:
    results = _result("V2", _finding(Stake("modelled", 0.0, 30.0, "WAL ceiling"), "queen.cursors"))
    assert of(_wish("fillfactor", "table", "cursors"), results).high_pct == 30.0
    assert of(_wish("fillfactor", "table", "leader"), results).kind == "unknown"


@pytest.mark.parametrize(
    ("name", "results", "words"),
    [
        ("random_page_cost", {}, "not known"),
        ("lock_timeout", {}, "no rate (safety, or sight)"),
        ("max_wal_size", {}, "not known (W1 was not run)"),
        ("max_wal_size", "the doctor could not look", "not known (the doctor could not look)"),
        ("max_wal_size", _result("W1", status="ok"), "not known (W1 found nothing in 2 s)"),
        ("max_wal_size", _result("W1", status="skipped", reason="no right"), "not known (W1 skipped: no right)"),
        ("max_wal_size", _result("W1", _finding(NO_STAKE)), "no rate (W1 warns, but nothing waits for it now)"),
    ],
)
def test_what_is_not_known_is_not_made_up(name: str, results: Any, words: str) -> None:
    assert of(_wish(name), results).words == words


def test_every_check_that_is_named_is_there() -> None:
    assert set(CHECKS.values()) <= {check.id for check in catalogue()}
