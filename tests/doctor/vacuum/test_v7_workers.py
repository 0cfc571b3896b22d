"""V7: the only worker of autovacuum is at a huge table, and a small one waits."""

from __future__ import annotations

import pytest

from queen.doctor.checks.vacuum.v7_workers import CHECK, allowed_workers
from queen.doctor.finding import Finding, Threshold
from queen.store.inspect import Row
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import apply, execute, look, only, undo
from tests.doctor.vacuum.slow import wait_until
from tests.doctor.vacuum.stuck import keep_a_worker_busy
from tests.support.own_cluster import OwnCluster

SOON = {"limit": Threshold(0, 600, "s")}
ONE = facts(
    setting("autovacuum_max_workers", "1", context="postmaster"),
    setting("autovacuum_vacuum_threshold", "50"),
    setting("autovacuum_vacuum_scale_factor", "0"),
)
WORKER: Row = {"pid": 1, "database": "queen", "ours": True, "name": "queen.big", "relid": 9,
               "task": "autovacuum: VACUUM queen.big", "phase": "scanning heap", "running_s": 30.0,
               "wait": None}  # fmt: skip
LATE: Row = {"name": "queen.cursors", "relname": "cursors", "relid": 5, "n_dead_tup": 500, "reltuples": 10.0,
             "reloptions": None}  # fmt: skip


def _judge(*, before: Row = WORKER, worker: Row = WORKER, early: Row = LATE, late: Row = LATE) -> list[Finding]:
    first = {"workers": [before], "tables": [early]}
    return list(CHECK.evaluate(seen_with(CHECK, first, {"workers": [worker], "tables": [late]}, facts=ONE)))


def test_what_must_come_together() -> None:
    [finding] = _judge()
    assert (finding.status, finding.evidence["waiting"]) == ("warn", {"queen.cursors": 10.0})
    assert finding.evidence["busy_with"] == {"queen.big": 30.0}
    assert [found.status for found in _judge(worker={**WORKER, "running_s": 700.0})] == ["crit"]
    assert _judge(worker={**WORKER, "running_s": 3.0}) == [], "soon free again"
    assert _judge(before={**WORKER, "task": "autovacuum: VACUUM queen.other"}) == [], "it gets on"
    assert _judge(early={**LATE, "n_dead_tup": 10}) == [], "waits only now"
    assert _judge(worker={**WORKER, "relid": 5}) == [], "a worker is at it"
    assert _judge(late={**LATE, "relname": "messages_1"}, early={**LATE, "relname": "messages_1"}) == []


def test_from_18_on_slots_bound_the_workers() -> None:
    slots = setting("autovacuum_worker_slots", "4", context="postmaster")
    many = facts(setting("autovacuum_max_workers", "6"), slots)
    assert allowed_workers(many.settings) == 4
    three = facts(setting("autovacuum_max_workers", "1"), slots, *_others(), version=180000)
    rows = {"workers": [WORKER], "tables": [LATE]}
    [finding] = CHECK.evaluate(seen_with(CHECK, rows, facts=three))
    assert finding.fix is not None
    assert (finding.fix.kind, finding.fix.apply[0]) == ("B", "ALTER SYSTEM SET autovacuum_max_workers = '3'")


def test_a_fresh_schema_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "V7", thresholds=SOON).status == "ok"


@pytest.mark.slow
@pytest.mark.usefixtures("eager_autovacuum")
def test_a_starving_table_is_served_when_there_are_more_workers(own_cluster: OwnCluster, own_dsn: str) -> None:
    options = "autovacuum_vacuum_threshold = 100, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    keep_a_worker_busy(own_dsn, options)
    execute(
        own_dsn,
        "insert into queen.partitions (partition_id, queue_id, epoch, name)"
        " select n, 1, 1, n::text from generate_series(1, 20000) n",
        "delete from queen.partitions",
    )
    finding = only(look(own_dsn, "V7", thresholds=SOON))
    assert finding.evidence["waiting"] == {"queen.partitions": 4.0}
    assert list(finding.evidence["busy_with"]) == ["queen.big"]
    assert look(own_dsn, "V7").status == "ok", "not for long enough"
    assert finding.fix is not None
    by_reload = own_cluster.value("select current_setting('server_version_num')::int >= 180000")
    assert finding.fix.kind == ("B" if by_reload else "C")
    apply(own_dsn, finding.fix)
    if not by_reload:
        own_cluster.restart()
    wait_until(lambda: look(own_dsn, "V7", thresholds=SOON, window_s=0.1).status == "ok")
    wait_until(lambda: [found.object for found in look(own_dsn, "V1", window_s=0.1).findings] == ["queen.big"])
    undo(own_dsn, finding.fix)
    own_cluster.restart()
    own_cluster.reload("autovacuum_max_workers", "1")


def _others() -> list[Row]:
    return [setting("autovacuum_vacuum_threshold", "50"), setting("autovacuum_vacuum_scale_factor", "0")]
