"""W5 on a real PostgreSQL whose log is slow to sync: a library sleeps in front of the system's call."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from queen.doctor.check import NotSeen
from queen.doctor.checks.wal import w5_slow_fsync as w5
from queen.doctor.finding import Threshold
from queen.doctor.probes.waits import Waits
from tests.doctor.seen import seen_with
from tests.doctor.support import look, only
from tests.doctor.wal.support import look_until, meanwhile
from tests.support.own_cluster import OwnCluster

DELAY_MS = 30
HALF = {"limit": Threshold(DELAY_MS / 2, None, "ms")}
"""For the machine's own disk, which may be slower than W5's limit."""
COMMITS = "do $$ begin for n in 1..25 loop insert into written values (n); commit; end loop; end $$"


@pytest.fixture
def written(own_cluster: OwnCluster) -> Iterator[str]:
    """A table to commit to."""
    own_cluster.execute("create table written (n int)")
    yield own_cluster.dsn
    own_cluster.execute("drop table written", "alter system reset track_wal_io_timing")
    own_cluster.reload("track_wal_io_timing", "off")


@pytest.mark.parametrize("timing", ["on", "off"])
def test_a_slow_disk_is_found_and_gone_on_another(
    own_cluster: OwnCluster, written: str, slow_disk: Callable[[int], dict[str, str]], timing: str
) -> None:
    """With PostgreSQL's timing and by the waits of sessions."""
    own_cluster.execute(f"alter system set track_wal_io_timing = {timing}")
    try:
        own_cluster.restart(**slow_disk(DELAY_MS))
        with meanwhile(written, COMMITS):
            finding = only(look_until(written, "W5", "crit"))
    finally:
        own_cluster.restart()
    with meanwhile(written, COMMITS):
        assert look_until(written, "W5", "ok", thresholds=HALF).status == "ok"
    assert finding.evidence["how"] == ("timed" if timing == "on" else "sessions waiting ÷ fsyncs a second")
    assert finding.evidence["fsyncs"] >= 20
    assert 0.5 * DELAY_MS < finding.evidence["mean_ms"] < 3 * DELAY_MS
    assert finding.evidence["busy_share"] > 0.7
    assert finding.evidence["wait_share"] > 0.5


def test_a_window_without_commits_is_no_ok(own_cluster: OwnCluster) -> None:
    assert look(own_cluster.dsn, "W5").status == "skipped"


@pytest.mark.parametrize("name", ["IO:WALSync", "IO:WalSync"])
def test_little_s_law(name: str) -> None:
    waits = Waits(samples=100, active=100, by_wait={name: 90, "CPU": 10})
    rows = [{"what": "wal", "syncs": 10_000, "sync_ms": 0.0}], [{"what": "wal", "syncs": 11_800, "sync_ms": 0.0}]
    seen = seen_with(w5.CHECK, {"syncs": rows[0]}, {"syncs": rows[1]}, window_s=10.0, waits=waits)
    (finding,) = w5.evaluate(seen)
    assert finding.evidence["mean_ms"] == 5.0, "0.9 of a session on average, 180 a second"
    assert finding.status == "warn"
    assert finding.at_stake.time_share == 0.9


def test_few_waits_near_the_limit_are_no_ok() -> None:
    waits = Waits(samples=100, active=5, by_wait={"IO:WALSync": 3})
    rows = [{"what": "wal", "syncs": 0, "sync_ms": 0.0}], [{"what": "wal", "syncs": 200, "sync_ms": 0.0}]
    seen = seen_with(w5.CHECK, {"syncs": rows[0]}, {"syncs": rows[1]}, window_s=10.0, waits=waits)
    with pytest.raises(NotSeen, match="too few"):
        list(w5.evaluate(seen))


def test_a_slow_disk_that_has_time_left_is_for_information() -> None:
    waits = Waits(samples=100, active=50, by_wait={"IO:WALSync": 40})
    rows = [{"what": "wal", "syncs": 0, "sync_ms": 0.0}], [{"what": "wal", "syncs": 1000, "sync_ms": 0.0}]
    seen = seen_with(w5.CHECK, {"syncs": rows[0]}, {"syncs": rows[1]}, window_s=10.0, waits=waits)
    (finding,) = w5.evaluate(seen)
    assert (finding.status, finding.evidence["mean_ms"], finding.evidence["busy_share"]) == ("info", 4.0, 0.4)
