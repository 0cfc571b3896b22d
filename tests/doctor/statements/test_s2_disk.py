"""S2 on a real PostgreSQL: messages that come faster than the disk is large."""

from __future__ import annotations

from dataclasses import replace

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.finding import Threshold
from queen.doctor.probes.disk import Disk
from queen.doctor.probes.host import Host
from queen.doctor.window import WINDOW_S
from tests.doctor.queues.support import write_minute
from tests.doctor.support import look, only
from tests.sql.client import Session

EVER = {"limit": Threshold(1e15, 6, "h"), "free": Threshold(None, None)}


def test_growth_is_told_from_the_epochs_and_ends_when_as_many_leave(database_dsn: str) -> None:
    with Session(database_dsn) as session:
        session.rows("update {s}.epochs set opened_at = now()")  # the database is a copy of an older one
        session.push({session.partition(): [f"{n}" for n in range(100)]})
        assert look(database_dsn, "S2", thresholds=EVER).status == "ok", "not observed for long enough"
        session.rows("update {s}.epochs set opened_at = now() - interval '1 hour'")
        finding = only(look(database_dsn, "S2", thresholds=EVER))
        size = session.one("select pg_total_relation_size('queen.messages_1')")
    assert finding.evidence["growth_bytes_per_s"] == round(size / 3600)
    assert finding.evidence["growth_from"] == "child tables of the last epochs"
    assert finding.evidence["full_in_h"] > 0
    assert (finding.evidence["epochs_opened_24h"], finding.evidence["epochs_dropped_24h"]) == (1, 0)
    with Session(database_dsn) as session:
        write_minute(session, None, 60, epochs_dropped=1)
    assert look(database_dsn, "S2", thresholds=EVER).status == "ok"


def test_an_idle_schema_on_a_roomy_disk_is_well(database_dsn: str) -> None:
    assert look(database_dsn, "S2", thresholds={"free": Threshold(None, None)}).status == "ok"


def test_little_room_and_growth_of_the_disk_itself_are_found(plain_seen: Seen) -> None:
    def host(free: int) -> Host:
        return Host(0.0, 0.0, 0.0, data_disk=Disk("/data", free, 1000 << 30, None, 7))

    def judged(before: int, now: int, window_s: float) -> list[tuple[str, float | None]]:
        seen = replace(
            plain_seen,
            limits=find("S2").thresholds,
            second={"store": []},
            host_before=host(before),
            host=host(now),
            window_s=window_s,
        )
        return [(one.status, one.evidence["full_in_h"]) for one in find("S2").evaluate(seen)]

    assert judged(100 << 30, 100 << 30, 60) == []
    assert judged(500 << 30, 499 << 30, 60) == [("warn", 8.3)]
    assert judged(500 << 30, 499 << 30, 10) == [], "a checkpoint in ten seconds is no growth"
    assert judged(500 << 30, 499 << 30, WINDOW_S) == [], "nor is the log of a burst in a window as it comes"
    assert judged(20 << 30, 20 << 30, 10) == [("crit", None)]


def test_the_disk_of_the_log_counts_where_it_is_another(plain_seen: Seen) -> None:
    def judged(device: int) -> list[str | None]:
        disks = Disk("/data", 900 << 30, 1000 << 30, None, 7), Disk("/log", 1 << 30, 100 << 30, None, device)
        host = Host(0.0, 0.0, 0.0, data_disk=disks[0], wal_disk=disks[1])
        seen = replace(plain_seen, limits=find("S2").thresholds, second={"store": []}, host_before=host, host=host)
        return [one.object for one in find("S2").evaluate(seen)]

    assert judged(8) == ["/log"]
    assert judged(7) == []
