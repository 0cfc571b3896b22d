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
from tests.support.own_cluster import OwnCluster

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
@pytest.mark.usefixtures("eager_autovacuum")
def test_a_sleeping_worker_works_when_the_limit_is_raised(own_cluster: OwnCluster, own_dsn: str) -> None:
    execute(
        own_dsn,
        "alter system set autovacuum_vacuum_cost_delay = '100ms'",
        "alter system set autovacuum_vacuum_cost_limit = 1",
        "select pg_reload_conf()",
    )
    own_cluster.reload("autovacuum_vacuum_cost_limit", "1")
    try:
        keep_a_worker_busy(own_dsn, "autovacuum_vacuum_threshold = 100")
        finding = only(look(own_dsn, "V8", thresholds=SOON, window_s=0.8))
        assert finding.evidence["asleep_pct"] > 50
        assert list(finding.evidence["running_s"]) == ["queen.big"]
        assert (finding.evidence["cost_limit"], finding.evidence["cost_delay_ms"]) == (1, 100)
        assert look(own_dsn, "V8").status == "ok", "not for long enough"
        apply(own_dsn, finding.fix)
        own_cluster.reload("autovacuum_vacuum_cost_limit", "2000")
        end_workers(own_dsn)
        wait_until(lambda: look(own_dsn, "V8", thresholds=SOON).status == "ok")
        wait_until(lambda: look(own_dsn, "V1", window_s=0.1).status == "ok")
        undo(own_dsn, finding.fix)
        own_cluster.reload("autovacuum_vacuum_cost_limit", "1")
    finally:
        execute(
            own_dsn,
            "alter system reset autovacuum_vacuum_cost_delay",
            "alter system reset autovacuum_vacuum_cost_limit",
            "select pg_reload_conf()",
        )


@pytest.mark.slow
@pytest.mark.usefixtures("eager_autovacuum")
def test_a_table_that_holds_its_own_vacuum_back_is_put_right(own_dsn: str) -> None:
    options = "autovacuum_vacuum_threshold = 100, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    keep_a_worker_busy(own_dsn, options)
    finding = only(look(own_dsn, "V8", thresholds=SOON, window_s=0.8))
    own = {"autovacuum_vacuum_cost_delay": "100", "autovacuum_vacuum_cost_limit": "1"}
    assert finding.evidence["own_cost_options"] == {"queen.big": own}
    assert finding.fix is not None
    assert finding.fix.kind == "A"
    apply(own_dsn, finding.fix)  # PostgreSQL gives up the vacuum that is in the way, and begins anew
    wait_until(lambda: look(own_dsn, "V8", thresholds=SOON).status == "ok")
    wait_until(lambda: look(own_dsn, "V1", window_s=0.1).status == "ok")
    undo(own_dsn, finding.fix)
