"""W1 on a real PostgreSQL: a log that is full all the time."""

from __future__ import annotations

import pytest

from queen.doctor.checks.wal import w1_forced_checkpoints as w1
from queen.doctor.finding import Finding, Threshold
from queen.doctor.probes.disk import Disk
from queen.doctor.probes.host import Host
from queen.store.inspect import Row
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import apply, look, only, undo
from tests.doctor.wal.support import LOG_8MB, look_until, meanwhile
from tests.support.own_cluster import OwnCluster

MIB = 1 << 20
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
            # The last forced one may be counted after the change.
            result = look_until(small_log.dsn, "W1", "ok", "skipped")
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


def _forced(free: int) -> Finding:
    """A minute of 20 MB a second against 1 GB of log, with so much of the disk free."""
    counters = {"what": "all", "timed": 1, "age_s": 7200.0}
    log: Row = {"what": "wal", "wal_records": 0, "wal_fpi": 0, "wal_buffers_full": 0, "age_s": 7200.0}
    first: dict[str, list[Row]] = {
        "checkpoints": [{**counters, "requested": 100}],
        "wal": [{**log, "wal_bytes": 0.0, "position": 0.0}],
    }
    written = 1200.0 * MIB
    totals = {"total_bytes": 100 * written, "total_images": 100 * 50_000}
    second: dict[str, list[Row]] = {
        "checkpoints": [{**counters, "requested": 102}],
        "wal": [{**log, "wal_bytes": written, "position": written, **totals}],
    }
    known = facts(
        setting("max_wal_size", "1024", unit="MB"),
        setting("checkpoint_completion_target", "0.9"),
        setting("checkpoint_timeout", "300", unit="s"),
    )
    host = Host(0.0, 0.0, 0.0, wal_disk=Disk("/data/pg_wal", free, 10 * free))
    (finding,) = w1.evaluate(seen_with(w1.CHECK, first, second, window_s=60.0, facts=known, host=host))
    return finding


def test_the_log_gets_room_for_one_interval_and_what_that_brings_is_modelled() -> None:
    finding = _forced(free=100 << 30)
    # 20 MB × 300 s × 1.9 × 1.2, in whole GB.
    assert finding.fix is not None
    assert finding.fix.apply[0] == "ALTER SYSTEM SET max_wal_size = '14336MB'"
    assert finding.fix.undo[0] == "ALTER SYSTEM RESET max_wal_size"
    # 390 of 1,200 MB are images; spaced 300 s apart instead of 27 they are an eleventh of that.
    assert finding.at_stake.method == "WAL ceiling"
    assert finding.at_stake.high_pct == pytest.approx(42.1, abs=0.1)


def test_a_small_disk_bounds_it_and_a_full_one_leaves_no_fix() -> None:
    bounded = _forced(free=9 << 30).fix
    assert bounded is not None
    assert bounded.apply[0] == "ALTER SYSTEM SET max_wal_size = '4096MB'"
    full = _forced(free=1 << 30)
    assert full.fix is None
    assert "no room" in full.remedy
