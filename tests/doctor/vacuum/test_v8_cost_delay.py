"""V8: a worker of autovacuum that sleeps more than it works."""

from __future__ import annotations

from typing import Any

import pytest

from queen.doctor.checks.vacuum.v8_cost_delay import CHECK
from queen.doctor.finding import Finding, Threshold
from queen.doctor.probes.waits import Waits
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import apply, execute, look, only, undo
from tests.doctor.vacuum.slow import wait_until
from tests.doctor.vacuum.stuck import end_workers, keep_a_worker_busy
from tests.doctor.vacuum.workshop import Workshop

SOON = {"running": Threshold(0, None)}
SLEEP = "Timeout:VacuumDelay"


def _judge(vacuum: dict[str, int], *, limit: str = "-1", **of_worker: Any) -> list[Finding]:
    worker = {"name": None, "relname": None, "reloptions": None, "database": "other", "task": "autovacuum: VACUUM big",
              "running_s": 90.0, **of_worker}  # fmt: skip
    known = facts(
        setting("autovacuum_vacuum_cost_limit", limit),
        setting("vacuum_cost_limit", "200"),
        setting("autovacuum_vacuum_cost_delay", "2"),
    )
    waits = Waits(100, 0, {}, vacuum)
    return list(CHECK.evaluate(seen_with(CHECK, {"workers": [worker]}, waits=waits, facts=known)))


def test_a_worker_that_sleeps_most_of_the_time_is_found() -> None:
    [finding] = _judge({SLEEP: 60, "CPU": 40})
    assert finding.evidence["asleep_pct"] == 60
    assert finding.evidence["running_s"] == {"other: autovacuum: VACUUM big": 90.0}
    assert (finding.evidence["cost_limit"], finding.evidence["cost_delay_ms"]) == (200, 2)
    assert _judge({SLEEP: 40, "CPU": 60}) == []
    assert _judge({SLEEP: 60, "CPU": 40}, running_s=5.0) == [], "it is soon done"
    assert _judge({}) == []


def test_a_limit_that_is_high_already_gets_no_fix() -> None:
    [finding] = _judge({SLEEP: 60, "CPU": 40}, limit="4000")
    assert finding.fix is None


def test_an_idle_server_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "V8", thresholds=SOON).status == "ok"


def test_a_changing_table_is_not_to_pause() -> None:
    [finding] = _judge({SLEEP: 60, "CPU": 40}, name="queen.cursors", relname="cursors")
    assert finding.fix is not None
    assert finding.fix.apply == ("ALTER TABLE queen.cursors SET (autovacuum_vacuum_cost_delay = 0)",)


@pytest.mark.slow
def test_a_sleeping_worker_works_when_the_limit_is_raised(workshop: Workshop, workshop_dsn: str) -> None:
    execute(
        workshop_dsn,
        "alter system set autovacuum_vacuum_cost_delay = '100ms'",
        "alter system set autovacuum_vacuum_cost_limit = 1",
        "select pg_reload_conf()",
    )
    workshop.await_setting("autovacuum_vacuum_cost_limit", "1")
    try:
        keep_a_worker_busy(workshop_dsn, "autovacuum_vacuum_threshold = 100")
        finding = only(look(workshop_dsn, "V8", thresholds=SOON, window_s=0.8))
        assert finding.evidence["asleep_pct"] > 50
        assert list(finding.evidence["running_s"]) == ["queen.big"]
        assert (finding.evidence["cost_limit"], finding.evidence["cost_delay_ms"]) == (1, 100)
        assert look(workshop_dsn, "V8").status == "ok", "not for long enough"
        apply(workshop_dsn, finding.fix)
        workshop.await_setting("autovacuum_vacuum_cost_limit", "2000")
        end_workers(workshop_dsn)
        wait_until(lambda: look(workshop_dsn, "V8", thresholds=SOON).status == "ok")
        wait_until(lambda: look(workshop_dsn, "V1", window_s=0.1).status == "ok")
        undo(workshop_dsn, finding.fix)
        workshop.await_setting("autovacuum_vacuum_cost_limit", "1")
    finally:
        execute(
            workshop_dsn,
            "alter system reset autovacuum_vacuum_cost_delay",
            "alter system reset autovacuum_vacuum_cost_limit",
            "select pg_reload_conf()",
        )


@pytest.mark.slow
def test_a_table_that_holds_its_own_vacuum_back_is_put_right(workshop_dsn: str) -> None:
    options = "autovacuum_vacuum_threshold = 100, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    keep_a_worker_busy(workshop_dsn, options)
    finding = only(look(workshop_dsn, "V8", thresholds=SOON, window_s=0.8))
    own = {"autovacuum_vacuum_cost_delay": "100", "autovacuum_vacuum_cost_limit": "1"}
    assert finding.evidence["own_cost_options"] == {"queen.big": own}
    assert finding.fix is not None
    assert finding.fix.kind == "A"
    apply(workshop_dsn, finding.fix)  # PostgreSQL gives up the vacuum that is in the way, and begins anew
    wait_until(lambda: look(workshop_dsn, "V8", thresholds=SOON).status == "ok")
    wait_until(lambda: look(workshop_dsn, "V1", window_s=0.1).status == "ok")
    undo(workshop_dsn, finding.fix)
