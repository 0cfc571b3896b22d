"""W1 on a real PostgreSQL: a log that is full all the time."""

from __future__ import annotations

import pytest

from queen.doctor.finding import Threshold
from tests.doctor.support import apply, look, only, undo
from tests.doctor.wal.support import LOG_8MB, look_until, meanwhile
from tests.support.own_cluster import OwnCluster

AT_ONCE = {"age": Threshold(0, None, "s")}


@pytest.fixture
def small_log(own_cluster: OwnCluster) -> OwnCluster:
    """Counters that begin anew."""
    kind = "case when current_setting('server_version_num')::int < 170000 then 'bgwriter' else 'checkpointer' end"
    own_cluster.execute(f"select pg_stat_reset_shared({kind})", "select pg_stat_reset_shared('wal')")
    return own_cluster


def test_a_log_that_is_full_is_found_inside_the_window_and_gone_with_room(small_log: OwnCluster) -> None:
    with meanwhile(small_log.dsn, *[LOG_8MB] * 4):
        finding = only(look_until(small_log.dsn, "W1", "warn", "crit"))
    assert finding.status == "crit"
    assert finding.evidence["requested"] >= 1
    assert finding.evidence["timed"] == 0
    assert finding.evidence["max_wal_size_MB"] == 32
    assert finding.evidence["wal_MB_per_s"] > 1
    assert finding.fix is not None
    assert finding.fix.kind == "B"
    apply(small_log.dsn, finding.fix)
    try:
        with meanwhile(small_log.dsn, LOG_8MB):
            result = look(small_log.dsn, "W1", window_s=0.5)
        assert result.status in ("ok", "skipped"), result
        assert not result.findings
    finally:
        undo(small_log.dsn, finding.fix)
        small_log.reload("max_wal_size", "32MB")


def test_as_a_rule_it_is_found_when_the_counters_are_old_enough(small_log: OwnCluster) -> None:
    small_log.execute(*[LOG_8MB, "checkpoint"] * 8)
    finding = only(look(small_log.dsn, "W1", thresholds=AT_ONCE))
    assert finding.evidence["requested"] >= 8
    assert look(small_log.dsn, "W1").findings == (), "too young to tell"


def test_checkpoints_that_were_asked_for_are_not_held_against_the_server(small_log: OwnCluster) -> None:
    small_log.execute(*["checkpoint"] * 8)
    assert look(small_log.dsn, "W1", thresholds=AT_ONCE).status == "ok"


def test_the_private_server_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "W1").status == "ok"
