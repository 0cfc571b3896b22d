"""A look at a range of time reads that range of the index, whatever was known when it was planned."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.sql.client import Session
from tests.store.plans import Hot, Run, Watcher

pytestmark = pytest.mark.pg

QUEUES, MINUTES = 100, 600
TABLES = ("activity", "activity_hours", "instance_activity")
_NOW = datetime.now(UTC).replace(second=0, microsecond=0)
_NOBODY = (uuid.UUID(int=0), datetime(2200, 1, 1, tzinfo=UTC))


def _series(session: Session, ids: list[int], minutes: int) -> object:
    types = ("integer[]", "timestamptz", "timestamptz", "integer", "uuid", "timestamptz")
    return session.call("activity_series", types, ids, _NOW - timedelta(minutes=minutes), _NOW, 1, *_NOBODY)


def _parked(session: Session) -> object:
    types = ("integer[]", "timestamptz", "timestamptz", "integer", "integer")
    return session.call("parked_series", types, [0], _NOW - timedelta(minutes=60), _NOW, 1, 1000)


def _instances(session: Session) -> object:
    types = ("timestamptz", "timestamptz", "integer", "text", "integer", "integer")
    return session.call("instance_series", types, _NOW - timedelta(minutes=60), _NOW, 1, None, None, 1000)


def _busiest(session: Session) -> object:
    return session.call("busiest_queues", ("timestamptz", "integer"), _NOW - timedelta(minutes=5), 100)


def _nothing_to_roll_up(session: Session) -> object:
    return session.call("roll_up_activity", ("bigint", "bigint", "integer"), 86_400_000, 7 * 86_400_000, 5000)


READS = (
    Hot("all queues, an hour", lambda s, _: _series(s, [0], 60), 200, frozenset({"activity_pkey"})),
    Hot("ten queues, an hour", lambda s, _: _series(s, list(range(1, 11)), 60), 1500, frozenset({"activity_pkey"})),
    Hot("all queues, ten hours", lambda s, _: _series(s, [0], 600), 1300, frozenset({"activity_pkey"})),
    Hot("parked", lambda s, _: _parked(s), 700, frozenset({"activity_pkey"})),
    Hot("instances", lambda s, _: _instances(s), 300, frozenset({"instance_activity_pkey"})),
    Hot("busiest", lambda s, _: _busiest(s), 1200, frozenset({"idx_activity_bucket"})),
    Hot("nothing to roll up", lambda s, _: _nothing_to_roll_up(s), 100, frozenset({"idx_activity_bucket"})),
)


def _fill(session: Session) -> None:
    columns = (
        "queue_id, bucket, instance_id, push_requests, push_messages, pop_requests, pop_messages, pop_empty,"
        " ack_requests, ack_success, ack_failed, ack_rejected, transactions, dead_letters, lag_count, parked,"
        " messages_hidden, epochs_dropped, lag_ms_sum, lag_ms_max"
    )
    session.rows(
        f"insert into {{s}}.activity ({columns}) select q, %s::timestamptz - m * interval '1 minute', %s,"
        " 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1"
        " from generate_series(1, %s) m, generate_series(0, %s) q",
        _NOW,
        uuid.UUID(int=1),
        MINUTES,
        QUEUES,
    )
    session.rows(
        "insert into {s}.instance_activity (bucket, instance_id, port, worker, hostname, metrics)"
        " select %s::timestamptz - m * interval '1 minute', %s, 1, 0, 'h',"
        """ '{{"cpu": {{"user": {{"avg": 1, "min": 1, "max": 1, "last": 1}}}}}}'"""
        " from generate_series(1, %s) m",
        _NOW,
        uuid.UUID(int=1),
        MINUTES,
    )


Runs = dict[str, dict[str, Run]]


@pytest.fixture(scope="module")
def runs(module_dsn: str) -> Iterator[Runs]:
    opened: list[Watcher] = []
    found: Runs = {read.name: {} for read in READS}

    def stage(name: str, watcher: Watcher) -> None:
        for read in READS:
            watcher.run(read, 0)  # The first one of a session also reads the catalog.
            found[read.name][name] = watcher.run(read, 0)

    try:
        opened.append(Watcher(module_dsn, "auto"))
    except psycopg.Error as error:
        if "CI" in os.environ:
            pytest.fail(f"CI needs auto_explain, of postgresql-contrib: {error}")
        pytest.skip(f"needs auto_explain, which this PostgreSQL came without: {error}")
    with Session(module_dsn) as session:
        for table in TABLES:
            session.rows(f"alter table {{s}}.{table} set (autovacuum_enabled = off)")
        for _ in range(6):
            for read in READS:
                opened[0].run(read, 0)
        _fill(session)
        opened.append(Watcher(module_dsn, "auto"))
        stage("planned when empty", opened[0])
        stage("never analyzed", opened[1])
        session.rows("vacuum analyze")
        opened.append(Watcher(module_dsn, "auto"))
        stage("analyzed", opened[2])
    yield found
    for watcher in opened:
        watcher.session.connection.close()


@pytest.mark.parametrize("read", READS, ids=lambda read: read.name)
def test_a_range_is_read_and_no_table(runs: Runs, read: Hot) -> None:
    assert runs[read.name]
    for stage, run in runs[read.name].items():
        scans = [node["Relation Name"] for node in run.nodes() if node["Node Type"] == "Seq Scan"]
        assert [table for table in scans if table in TABLES] == [], stage
        assert run.indexes() >= read.indexes, stage
        assert 0 < run.pages <= read.pages_max, stage
