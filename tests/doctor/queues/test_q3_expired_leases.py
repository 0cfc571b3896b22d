"""Q3 on a real PostgreSQL: consumers that take and do not acknowledge."""

from __future__ import annotations

from dataclasses import replace

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.probes.server import ServerSample
from tests.doctor.queues.support import consume, fill, look
from tests.doctor.support import about
from tests.sql.client import Session


def test_leases_that_run_out_are_found_and_gone_when_acknowledged(module_dsn: str, queen: Session) -> None:
    ids = fill(queen, "crashing", {"a": 1, "b": 1, "c": 1, "d": 1})
    for _ in range(2):
        queen.pop(*ids.values())
        for one in ids.values():
            queen.expire(one)
    queen.pop(ids["a"])
    finding = about(look(module_dsn, "Q3"), "crashing g")
    assert finding.status == "crit"
    # Nine hand-outs, of which one is alive.
    assert (finding.evidence["handed_out"], finding.evidence["lost"]) == (9, 8)
    assert (finding.evidence["cursors"], finding.evidence["over_now"]) == (4, 3)
    assert finding.evidence["lease_time_s"] == 300
    queen.expire(ids["a"])
    consume(queen, *ids.values())
    assert look(module_dsn, "Q3").status == "ok"


def test_what_was_given_back_is_told_apart_by_the_server(plain_seen: Seen) -> None:
    row = {"queue": "q", "consumer_group": "g", "leases": 4, "over": 0, "handed": 8, "lost": 4, "lease_s": 300.0}

    def judged(expired: int, servers: int = 1, uptime: int = 900) -> int:
        metrics = {"uptime": uptime, "workers": {"count": 1}, "counters": {"leases_expired": expired}}
        seen = replace(
            plain_seen,
            limits=find("Q3").thresholds,
            second={"leases": [row], "servers": [{"servers": servers}]},
            server=ServerSample("", 0.0, {}, metrics),
        )
        return len(list(find("Q3").evaluate(seen)))

    assert judged(0) == 0
    assert judged(4) == 1
    assert judged(0, servers=2) == 1, "another server may have lost them"
    assert judged(0, uptime=60) == 1, "the one before it may have"


def test_one_lost_lease_and_messages_in_work_are_no_finding(module_dsn: str, queen: Session) -> None:
    ids = fill(queen, "working", {"a": 1, "b": 1})
    queen.pop(*ids.values())
    queen.expire(ids["a"])
    assert look(module_dsn, "Q3").status == "ok"
    consume(queen, ids["a"])


def test_what_ran_out_long_ago_is_past(module_dsn: str, queen: Session) -> None:
    ids = fill(queen, "past", {f"{n}": 1 for n in range(5)})
    queen.pop(*ids.values())
    queen.rows(
        "update {s}.cursors set lease_until = now() - interval '1 hour' where partition_id = any(%s)",
        list(ids.values()),
    )
    assert look(module_dsn, "Q3").status == "ok"
