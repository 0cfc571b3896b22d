"""record_activity, roll_up_activity and the reads: minutes are kept once, and no count is lost on the way to hours."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from queen.store.activity import Counts, row_of
from tests.sql.client import Row, Session

pytestmark = pytest.mark.pg

ONE, TWO, NOBODY = uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=9)
NEVER = datetime(2200, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000
_RECORD = ("uuid", "timestamptz", "jsonb", "text", "integer", "integer", "jsonb")
_SERIES = ("integer[]", "timestamptz", "timestamptz", "integer", "uuid", "timestamptz")


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


NOW = datetime.now(UTC)
YESTERDAY = hour_of(NOW - timedelta(hours=27))


def record(session: Session, at: datetime, rows: dict[int, Counts], instance: uuid.UUID = ONE, **more: Any) -> Row:
    """Write a minute down; the answer."""
    metrics = more.get("metrics")
    return session.call(
        "record_activity",
        _RECORD,
        instance,
        at,
        Jsonb([row_of(queue_id, counts) for queue_id, counts in rows.items()]),
        more.get("hostname", "here"),
        6632,
        more.get("worker", 0),
        Jsonb(metrics) if metrics is not None else None,
    )[0][0]


def series(
    session: Session,
    *queue_ids: int,
    since: datetime = YESTERDAY,
    until: datetime = NEVER,
    minutes: int = 1,
    own: tuple[uuid.UUID, datetime] = (NOBODY, NEVER),
) -> list[tuple[int, datetime, Counts]]:
    rows = session.call("activity_series", _SERIES, list(queue_ids), since, until, minutes, *own)
    return [(row[0], row[1], Counts(*row[2:])) for row in rows]


def roll_up(session: Session, limit: int = 1000, minutes_kept: int = DAY_MS, hours_kept: int = 7 * DAY_MS) -> int:
    return int(session.call("roll_up_activity", ("bigint", "bigint", "integer"), minutes_kept, hours_kept, limit)[0][0])


def test_a_minute_comes_back_as_it_was_written(session: Session) -> None:
    counts = Counts._make([*range(1, 16), 16.5, 17.25])
    record(session, YESTERDAY, {0: counts, 7: Counts(push_requests=1)})
    assert series(session, 0, 7) == [(0, YESTERDAY, counts), (7, YESTERDAY, Counts(push_requests=1))]


def test_it_answers_the_time_of_the_database(session: Session) -> None:
    at = record(session, NOW, {})
    assert abs((at - datetime.now(UTC)).total_seconds()) < 60
    assert session.one("select count(*) from {s}.activity") == 0


def test_a_minute_that_is_written_again_counts_once(session: Session) -> None:
    for _ in range(2):
        record(session, YESTERDAY, {0: Counts(push_messages=3)}, metrics={"cpu": {}})
    assert series(session, 0) == [(0, YESTERDAY, Counts(push_messages=3))]
    assert session.one("select count(*) from {s}.instance_activity") == 1


def test_servers_and_minutes_of_a_bucket_are_added_up(session: Session) -> None:
    for number, instance in ((0, ONE), (0, TWO), (4, ONE), (5, ONE)):
        lag = Counts(push_messages=1, lag_count=1, lag_ms_sum=2.0, lag_ms_max=float(number))
        record(session, YESTERDAY + timedelta(minutes=number), {0: lag}, instance)
    assert series(session, 0, minutes=5) == [
        (0, YESTERDAY, Counts(push_messages=3, lag_count=3, lag_ms_sum=6.0, lag_ms_max=4.0)),
        (0, YESTERDAY + timedelta(minutes=5), Counts(push_messages=1, lag_count=1, lag_ms_sum=2.0, lag_ms_max=5.0)),
    ]


def test_a_range_has_its_beginning_and_not_its_end(session: Session) -> None:
    for number in range(4):
        record(session, YESTERDAY + timedelta(minutes=number), {0: Counts(push_messages=1)})
    found = series(session, 0, since=YESTERDAY + timedelta(minutes=1), until=YESTERDAY + timedelta(minutes=3))
    assert [at for _, at, _ in found] == [YESTERDAY + timedelta(minutes=number) for number in (1, 2)]


def test_what_a_server_has_in_memory_is_left_out_of_its_rows_alone(session: Session) -> None:
    later = YESTERDAY + timedelta(minutes=1)
    for instance in (ONE, TWO):
        for at in (YESTERDAY, later):
            record(session, at, {0: Counts(push_messages=1)}, instance)
    found = series(session, 0, own=(ONE, later))
    assert [counts.push_messages for _, _, counts in found] == [2, 1]


def test_an_unknown_queue_has_no_series(session: Session) -> None:
    record(session, YESTERDAY, {0: Counts(push_messages=1)})
    assert series(session, 8) == []


def test_old_minutes_become_hours_whatever_the_steps(session: Session) -> None:
    whole = Counts()
    for number in range(90):
        for instance in (ONE, TWO):
            counts = Counts(push_messages=number, lag_count=1, parked=2, lag_ms_sum=1.5, lag_ms_max=float(number))
            record(session, YESTERDAY + timedelta(minutes=number), {0: counts, 5: counts}, instance)
            whole = whole.plus(counts)
    before = series(session, 0, 5, minutes=60)
    steps = 0
    while roll_up(session, limit=7):
        steps += 1
    assert steps > 20
    assert session.one("select count(*) from {s}.activity") == 0
    assert session.one("select count(*) from {s}.activity_hours") == 4
    assert series(session, 0, 5, minutes=60) == before
    sums = Counts()
    for _, _, counts in series(session, 0, minutes=1):
        sums = sums.plus(counts)
    assert sums == whole


def test_an_hour_that_is_not_old_as_a_whole_stays(session: Session) -> None:
    now = datetime.now(UTC)  # not that of the file, which may be of an hour before
    edge = hour_of(now - timedelta(days=1))
    record(session, edge - timedelta(minutes=1), {0: Counts(push_messages=1)})
    record(session, edge + timedelta(minutes=1), {0: Counts(push_messages=1)})
    record(session, now, {0: Counts(push_messages=1)})
    roll_up(session)
    assert session.one("select count(*) from {s}.activity") == 2
    assert roll_up(session) == 0


def test_hours_and_instances_are_forgotten_in_the_end(session: Session) -> None:
    record(session, NOW - timedelta(days=9), {0: Counts(push_messages=1)}, metrics={})
    record(session, NOW, {0: Counts(push_messages=1)}, metrics={})
    while roll_up(session):
        pass
    assert session.one("select count(*) from {s}.activity_hours") == 0
    assert session.one("select count(*) from {s}.instance_activity") == 1
    assert session.one("select count(*) from {s}.activity") == 1


def test_metrics_of_a_bucket_are_summed_up_by_server(session: Session) -> None:
    for number, value in ((0, 10.0), (1, 30.0)):
        gauge = {"avg": value, "min": value - 1, "max": value + 1, "last": value + 0.5}
        record(session, YESTERDAY + timedelta(minutes=number), {}, metrics={"cpu": {"user": gauge}})
    record(
        session,
        YESTERDAY,
        {},
        TWO,
        worker=2,
        metrics={"cpu": {"user": dict.fromkeys(("avg", "min", "max", "last"), 1)}},
    )
    types = ("timestamptz", "timestamptz", "integer", "text", "integer", "integer")
    rows = session.call("instance_series", types, YESTERDAY, NEVER, 5, None, None, 10)
    assert [(row.bucket, row.hostname, row.port, row.worker) for row in rows] == [
        (YESTERDAY, "here", 6632, 0),
        (YESTERDAY, "here", 6632, 2),
    ]
    assert rows[0].metrics == {"cpu": {"user": {"avg": 20.0, "min": 9.0, "max": 31.0, "last": 30.5}}}
    assert [row.worker for row in session.call("instance_series", types, YESTERDAY, NEVER, 5, "here", 2, 10)] == [2]
    assert session.call("instance_series", types, YESTERDAY, NEVER, 5, "elsewhere", None, 10) == []
    assert len(session.call("instance_series", types, YESTERDAY, NEVER, 5, None, None, 1)) == 1


def test_parked_polls_are_told_by_server(session: Session) -> None:
    for number, parked in ((0, 2), (1, 4)):
        record(session, YESTERDAY + timedelta(minutes=number), {3: Counts(parked=parked)}, metrics={}, worker=1)
    record(session, YESTERDAY, {3: Counts(parked=1)}, TWO, metrics={}, worker=2)
    types = ("integer[]", "timestamptz", "timestamptz", "integer", "integer")
    rows = session.call("parked_series", types, [3], YESTERDAY, NEVER, 5, 10)
    assert [(row.hostname, row.worker, row.parked) for row in rows] == [("here", 1, 3.0), ("here", 2, 1.0)]
    assert session.call("parked_series", types, [4], YESTERDAY, NEVER, 5, 10) == []


def test_the_busiest_queues_come_first_and_deleted_ones_not_at_all(session: Session) -> None:
    for name in ("quiet", "busy", "gone"):
        session.partition(queue=name)
    ids = {row.name: row.queue_id for row in session.rows("select name, queue_id from {s}.queues")}
    counts = {"quiet": 1, "busy": 50, "gone": 99}
    record(session, NOW, {0: Counts(), **{ids[name]: Counts(push_messages=many) for name, many in counts.items()}})
    session.call("delete_queue", ("text",), "gone")
    rows = session.call("busiest_queues", ("timestamptz", "integer"), NOW - timedelta(minutes=5), 10)
    assert [(row.name, row.push_messages) for row in rows] == [("busy", 50), ("quiet", 1)]


def test_only_servers_that_live_are_running(session: Session) -> None:
    for instance in (ONE, TWO):
        session.call("beat", ("uuid", "text", "integer", "bigint"), instance, "1.0", 16, 5000)
    session.rows("update {s}.instances set seen_at = now() - interval '1 minute' where instance_id = %s", TWO)
    rows = session.call("running_instances", ("bigint", "integer"), 5000, 10)
    assert [(row.instance_id, row.pool_size, row.version, row.leads) for row in rows] == [(ONE, 16, "1.0", True)]


def test_postgresql_tells_of_itself(session: Session) -> None:
    session.push({session.partition(): ["a"]})
    stats = session.one("select {s}.postgres_stats()")
    assert set(stats) == {"version", "database", "connections", "tables", "wal", "checkpoints"}
    assert stats["database"]["datname"] == session.one("select current_database()")
    assert stats["connections"]["total"] >= 1
    assert {"messages", "cursors", "partitions", "activity"} <= set(stats["tables"])
    assert stats["tables"]["messages"]["children"] >= 1
    assert stats["checkpoints"]
