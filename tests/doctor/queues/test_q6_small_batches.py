"""Q6 on a real PostgreSQL: messages that are stored one a statement."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.finding import Result, Threshold
from queen.doctor.probes.server import ServerSample
from queen.doctor.probes.waits import Waits
from tests.doctor.support import execute, look, only
from tests.sql.client import Session

LOAD = {"rate": Threshold(20, None, "messages/s")}


@contextmanager
def producer(dsn: str, rows: int) -> Iterator[None]:
    """Pushes so many messages a statement, as fast as it can."""
    stopping, begun = threading.Event(), threading.Event()

    def work() -> None:
        with Session(dsn) as session:
            partition = session.partition()
            while not stopping.is_set():
                session.push({partition: [uuid.uuid4().hex for _ in range(rows)]})
                # What a session counted of tables reaches the others with a delay; this is for the test's short window.
                session.rows("select pg_stat_force_next_flush()") if _flushes(session) else None
                begun.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(10)
    try:
        yield
    finally:
        stopping.set()
        thread.join(10)


def _flushes(session: Session) -> bool:
    return session.connection.info.server_version >= 150000


def look_under_load(dsn: str, rows: int) -> Result:
    with producer(dsn, rows):
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
