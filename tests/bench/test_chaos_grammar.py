"""The text of `--chaos`: what it means, and what is refused with which words."""

from __future__ import annotations

import pytest

from queen.bench.chaos import RECOVERY_S, check_allowed, parse
from queen.bench.fault_kinds import KINDS, NOT_BUILT
from queen.errors import ConsentNeeded, SettingsError


def texts(text: str, measure_s: float | None = None) -> list[str]:
    return [fault.text for fault in parse(text, measure_s, lease_s=10).faults]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("restart-pg@60s,pin-xmin@120s+60s", ["restart-pg@60s+10s", "pin-xmin@120s+60s"]),
        ("pin-xmin@120s, restart-pg@1m", ["restart-pg@60s+10s", "pin-xmin@120s+60s"]),
        ("readers@20+5x8", ["readers@20s+5sx8"]),
        ("readersx2", ["readers@10s+30sx2"]),
        ("kill-server@1.5m", ["kill-server@90s+0s"]),
        ("stall-consumer@20s", ["stall-consumer@20s+13sx1"]),
        ("exhaust-pool@20s", ["exhaust-pool@20s+10s"]),
        ("kill-server,drain-server", ["kill-server@10s+0s", "drain-server@20s+0s"]),
    ],
)
def test_what_a_text_means(text: str, meaning: list[str]) -> None:
    assert texts(text) == meaning


def test_what_it_shows_is_read_back_the_same() -> None:
    for name in KINDS:
        schedule = parse(f"{name}@20s+90s")
        assert parse(schedule.faults[0].text) == schedule


def test_a_fault_without_a_start_begins_a_third_of_the_way() -> None:
    assert texts("restart-pg", 60) == ["restart-pg@20s+10s"]
    assert texts("kill-server,terminate-backends", 60) == ["kill-server@15s+0s", "terminate-backends@30s+10sx2"]


def test_a_schedule_says_how_long_the_run_must_be() -> None:
    schedule = parse("restart-pg@20s,kill-server@40s")
    assert schedule.needs_s == 40 + RECOVERY_S
    assert parse("restart-pg@20s,kill-server@40s", schedule.needs_s) == schedule
    with pytest.raises(SettingsError, match="only 49 s are measured") as raised:
        parse("restart-pg@20s,kill-server@40s", 49)
    assert raised.value.hint is not None
    assert "50s" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("restart-gp@20s", "did you mean restart-pg"),
        ("", "is no fault"),
        ("readers@20s,", "is no fault"),
        ("readers@20s@30s", "is no fault"),
        ("kill-server@soon", "not a duration"),
        ("readers@20sx0", "from 1 to"),
        ("readers@20sx5000", "from 1 to"),
        ("pin-xmin@20sx4", "takes no xN"),
        ("kill-server@2s", "starts too early"),
        ("stall-consumer@20s+9s", "must outlast the lease of 10 s"),
        ("restart-pg@20s,pin-xmin@25s", "overlap"),
        ("pin-xmin@20s,restart-pg@30s", "overlap"),
        ("readers@20s,readers@40s", "overlap"),
        ("kill-server@20s,drain-server@20s", "overlap"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse(text, lease_s=10)
    assert words in raised.value.message


@pytest.mark.parametrize("name", NOT_BUILT)
def test_what_cannot_be_done_here_says_why_and_what_can(name: str) -> None:
    with pytest.raises(SettingsError, match="is not built here: ") as raised:
        parse(f"{name}@20s")
    assert raised.value.hint is not None
    assert all(kind in raised.value.hint for kind in KINDS)


def test_faults_that_make_sense_together_may_overlap() -> None:
    assert len(texts("pin-xmin@20s,readers@25s,stall-consumer@30s,kill-server@40s")) == 4


@pytest.mark.parametrize("name", KINDS)
def test_everything_may_be_done_to_what_is_ours(name: str) -> None:
    check_allowed(parse(name), own_server=True, own_database=True, dsn_known=True)


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"stall-consumer"}))
def test_nobody_elses_server_or_database_is_harmed_without_consent(name: str) -> None:
    with pytest.raises(ConsentNeeded):
        check_allowed(parse(name), own_server=False, own_database=False, dsn_known=True)


def test_consent_reaches_no_further_than_sessions() -> None:
    def check(name: str, *, consent: bool = True) -> None:
        check_allowed(parse(name), own_server=False, own_database=False, dsn_known=True, consent=consent)

    for name in ("pin-xmin", "readers", "exhaust-pool", "terminate-backends"):
        check(name)
    for name in ("kill-server", "drain-server", "restart-pg"):
        with pytest.raises(ConsentNeeded):
            check(name)
    check("stall-consumer", consent=False)


def test_a_fault_of_the_database_needs_to_know_it() -> None:
    with pytest.raises(SettingsError, match="needs the database"):
        check_allowed(parse("pin-xmin"), own_server=False, own_database=False, dsn_known=False)
