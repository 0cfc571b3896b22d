"""Q6 on a real PostgreSQL: messages that are stored one a statement."""

from __future__ import annotations

import uuid
from dataclasses import replace

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.finding import Result, Threshold
from queen.doctor.probes.server import ServerSample
from queen.doctor.probes.waits import Waits
from tests.doctor.support import execute, flush, look, meanwhile, only
from tests.sql.client import Session

LOAD = {"rate": Threshold(20, None, "messages/s")}


def look_under_load(dsn: str, rows: int) -> Result:
    """What Q6 says while so many messages a statement are pushed, as fast as it goes."""
    with Session(dsn) as session:
        partition = session.partition()

        def push() -> None:
            session.push({partition: [uuid.uuid4().hex for _ in range(rows)]})
            # What a session counted of tables reaches the others a second later; the window of this test is shorter.
            flush(session.connection)

        with meanwhile(push):
            return look(dsn, "Q6", thresholds=LOAD, window_s=0.5)


def test_single_rows_are_found_and_gone_with_batches(database_dsn: str) -> None:
    assert look(database_dsn, "Q6").status == "skipped"
    execute(database_dsn, "create extension pg_stat_statements")
    finding = only(look_under_load(database_dsn, 1))
    assert finding.status == "warn"
    assert 0.5 < finding.evidence["rows_per_statement"] < 1.5
    assert finding.evidence["messages_per_s"] > 20
    assert finding.evidence["counted_by"] == "pg_stat_statements"
    assert look_under_load(database_dsn, 20).status == "ok"
    assert look(database_dsn, "Q6", thresholds=LOAD).status == "ok", "nothing is pushed"


def test_a_server_counts_its_own_statements(plain_seen: Seen) -> None:
    def sample(messages: int, flushes: int) -> ServerSample:
        return ServerSample("", 0.0, {}, {"counters": {"push_messages": messages}, "sizes": {"push_flushes": flushes}})

    def judged(flushes: int) -> list[float]:
        seen = replace(
            plain_seen,
            limits=find("Q6").thresholds,
            server_before=sample(1000, 1000),
            server=sample(13_000, 1000 + flushes),
            window_s=10.0,
            waits=Waits(10, 10, {"IO:WALSync": 5, "CPU": 5}),
        )
        return [one.at_stake.high_pct or 0.0 for one in find("Q6").evaluate(seen)]

    assert judged(10_000) == [78.6]
    assert judged(1_000) == []
