"""Lists of groups, where they stand, which partitions lag, registrations, and the end of a group on one queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.sql.client import Row, Session, Signal
from tests.sql.upkeep import pass_time

LIVE = 2000
NEVER = 0
"""As a bound of what is counted while it is asked."""


def subscribe(session: Session, queue: str, group: str, mode: str = "all") -> None:
    queue_id = session.one("select queue_id from {s}.queues where name = %s", queue)
    session.call("subscribe", ("integer", "text", "text", "timestamptz"), queue_id, group, mode, None)


def refresh(session: Session) -> None:
    """The whole walk that keeps the numbers."""
    row = session.call("refresh_stats", ("integer", "bigint", "integer", "text"), 0, 0, 10_000, None)[0]
    assert row.queue_id is None


def list_groups(session: Session, limit: int = 100, offset: int = 0, live: int = LIVE) -> list[Row]:
    return session.call("list_groups", ("integer", "integer", "integer"), limit, offset, live)


def partitions_of(session: Session, group: str, limit: int = 100, offset: int = 0, live: int = LIVE) -> list[Row]:
    types = ("text", "integer", "integer", "integer")
    return session.call("group_partitions", types, group, limit, offset, live)


def lagging(
    session: Session, seconds: int, limit: int = 100, offset: int = 0, look: int = 1000, live: int = LIVE
) -> tuple[list[Row], int | None]:
    types = ("bigint", "integer", "integer", "integer", "integer")
    *rows, last = session.call("lagging_partitions", types, seconds, limit, offset, look, live)
    assert last.partition_id is None
    return rows, last.next


def age(session: Session, seconds: float) -> None:
    """Makes all that is stored, and the partitions themselves, so much older."""
    pass_time(session, seconds)
    session.rows("update {s}.partitions set created_at = created_at - %s * interval '1 second'", seconds)


Meanwhile = Callable[[Session], int]


@pytest.fixture(params=["counted", "kept"])
def live(request: pytest.FixtureRequest) -> Meanwhile:
    """The bound to ask with, after whatever it needs to hold."""

    def bound(session: Session) -> int:
        if request.param == "counted":
            return LIVE
        refresh(session)
        return NEVER

    return bound


def test_a_list_has_numbers_and_registration(session: Session, live: Meanwhile) -> None:
    one, two = session.partitions(2)
    session.push({one: ["a", "b", "c"], two: ["d"]})
    subscribe(session, "q", "g", "new")
    session.open_cursors([one, two])
    session.rows("update {s}.cursors set acked = -1, acked_was = -1")
    session.ack(Signal(one, completed=0))
    session.ack(Signal(two, completed=0))
    age(session, 50)
    [row] = list_groups(session, live=live(session))
    assert (row.consumer_group, row.queue, row.members, row.partitions_with_lag, row.total_lag) == ("g", "q", 2, 1, 2)
    assert 50 <= row.max_lag_s < 60
    assert row.consumed
    assert (row.mode, row.registered_at) == ("new", row.registered_at)
    assert row.start_at is not None


def test_a_group_that_is_registered_and_never_came_is_listed(session: Session, live: Meanwhile) -> None:
    session.push({session.partition(): ["a"]})
    subscribe(session, "q", "absent")
    [row] = list_groups(session, live=live(session))
    assert (row.members, row.partitions_with_lag, row.total_lag, row.max_lag_s, row.consumed) == (0, 0, 0, 0, False)
    assert (row.mode, row.start_at) == ("all", None)


def test_queue_mode_and_a_group_that_was_only_sought_are_listed_without_registration(
    session: Session, live: Meanwhile
) -> None:
    p = session.partition()
    session.push({p: ["a"]})
    session.open_cursors([p], "__QUEUE_MODE__")
    session.call("seek", ("bigint[]", "text", "timestamptz"), [p], "only", None)
    rows = list_groups(session, live=live(session))
    assert [(row.consumer_group, row.mode, row.members, row.total_lag) for row in rows] == [
        ("__QUEUE_MODE__", None, 1, 1),
        ("only", None, 1, 0),
    ]


def test_a_seek_does_not_make_a_group_one_that_never_consumed(session: Session, live: Meanwhile) -> None:
    p = session.partition()
    session.push({p: ["a", "b"]})
    session.open_cursors([p])
    session.ack(Signal(p, completed=1))
    session.open_cursors([p], "idle")
    for group in ("g", "idle"):
        session.call("seek", ("bigint[]", "text", "timestamptz"), [p], group, datetime(2000, 1, 1, tzinfo=UTC))
    assert {row.consumer_group: row.consumed for row in list_groups(session, live=live(session))} == {
        "g": True,
        "idle": False,
    }


def test_a_list_is_paged_by_group_and_queue(session: Session, live: Meanwhile) -> None:
    for queue in ("q1", "q2"):
        p = session.partition(queue=queue)
        session.push({p: ["a"]})
        for group in ("g", "h"):
            subscribe(session, queue, group)
        session.open_cursors([p], "g")
    bound = live(session)
    expected = [("g", "q1"), ("g", "q2"), ("h", "q1"), ("h", "q2")]
    for limit in (1, 2, 3, 4, 5):
        found = []
        for offset in range(0, 4, limit):
            found += list_groups(session, limit, offset, bound)
        assert [(row.consumer_group, row.queue) for row in found] == expected
    assert list_groups(session, 10, 4, bound) == []


def test_where_a_group_stands(session: Session, live: Meanwhile) -> None:
    one, two, untouched = session.partitions(3)
    session.push({one: ["a", "b", "c"], two: ["d"], untouched: ["e"]})
    subscribe(session, "q", "g")
    session.open_cursors([one, two])
    session.ack(Signal(one, completed=0))
    session.ack(Signal(two, completed=0))
    session.pop(one)
    age(session, 50)
    rows = partitions_of(session, "g", live=live(session))
    assert [(row.queue, row.partition, row.acked, row.lag, row.lease_id) for row in rows] == [
        ("q", "p0", 0, 2, session.lease),
        ("q", "p1", 0, 0, None),
        ("q", "p2", None, None, None),
    ]
    assert [50 <= row.lag_s < 60 for row in rows] == [True, False, False]
    session.expire(one)
    assert partitions_of(session, "g")[0].lease_id is None
    assert {row.acked for row in partitions_of(session, "unknown")} <= {None}


def test_where_a_group_stands_is_paged_over_its_queues(session: Session, live: Meanwhile) -> None:
    for queue in ("a", "b"):
        partitions = session.partitions(3, queue)
        session.push({p: ["x"] for p in partitions})
        subscribe(session, queue, "g")
        session.open_cursors(partitions)
    bound = live(session)
    expected = [(queue, f"p{n}") for queue in ("a", "b") for n in range(3)]
    for limit in (1, 2, 4, 6):
        found = []
        for offset in range(0, 6, limit):
            found += partitions_of(session, "g", limit, offset, bound)
        assert [(row.queue, row.partition) for row in found] == expected


def test_age_is_that_of_the_first_unconsumed_message_across_epochs(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a"]})
    pass_time(session, 1000)
    session.open_epoch(2)
    session.push({p: ["b"]})
    pass_time(session, 100)
    session.open_epoch(3)
    session.push({p: ["c"]})
    session.open_cursors([p])
    ages = []
    for offset in range(3):
        ages.append(partitions_of(session, "g")[0].lag_s)
        session.ack(Signal(p, completed=offset))
    assert 1100 <= ages[0] < 1110
    assert 100 <= ages[1] < 110
    assert ages[2] < 10
    assert partitions_of(session, "g")[0].lag_s == 0


def test_what_lags(session: Session, live: Meanwhile) -> None:
    old, done, young = session.partitions(3)
    session.push({old: ["a", "b"], done: ["c"]})
    subscribe(session, "q", "g")
    subscribe(session, "q", "absent")
    session.open_cursors([old, done, young])
    session.ack(Signal(done, completed=0))
    age(session, 5000)
    session.push({young: ["d"], old: ["e"]})
    session.pop(old, batch=1)
    [row], following = lagging(session, 3600, live=live(session))
    assert following is None
    assert (row.consumer_group, row.queue, row.partition, row.partition_id) == ("g", "q", "p0", old)
    assert (row.lag, row.lease_id) == (3, session.lease)
    assert 5000 <= row.lag_s < 5010
    assert abs(row.lag_s - (session.one("select now()") - row.oldest_at).total_seconds()) < 5
    assert lagging(session, 6000) == ([], None)
    assert len(lagging(session, 0)[0]) == 2


def test_what_lags_is_paged_by_what_was_looked_at(session: Session, live: Meanwhile) -> None:
    partitions = session.partitions(6)
    session.push({p: ["a"] for p in partitions})
    for group in ("g", "h"):
        subscribe(session, "q", group)
        session.open_cursors(partitions, group)
    session.ack(*[Signal(p, completed=0) for p in partitions[::2]])
    age(session, 5000)
    bound = live(session)
    for limit, look in [(1, 100), (2, 100), (100, 1), (100, 2), (1, 3), (3, 1)]:
        found: list[tuple[str, int]] = []
        offset: int | None = 0
        while offset is not None:
            rows, following = lagging(session, 3600, limit, offset, look, bound)
            assert following is None or following > offset
            assert len(rows) <= min(limit, look)
            found += [(row.consumer_group, row.partition_id) for row in rows]
            offset = following
        assert found == [("g", p) for p in partitions[1::2]] + [("h", p) for p in partitions]


def test_a_new_start_counts_for_untouched_partitions_alone(session: Session) -> None:
    touched, untouched = session.partitions(2)
    session.push({touched: ["a"], untouched: ["b"]})
    subscribe(session, "q", "g")
    session.open_cursors([touched])
    before = session.cursor(touched)
    assert session.one("select {s}.resubscribe('g', now() + interval '1 hour')") == 1
    assert session.cursor(touched) == before
    session.open_cursors([untouched])
    assert session.cursor(untouched).acked == 0
    assert session.one("select mode from {s}.subscriptions") == "timestamp"
    assert session.one("select {s}.resubscribe('unknown', now())") == 0


@pytest.mark.parametrize("metadata", [True, False])
def test_a_group_leaves_one_queue_and_stays_in_the_others(session: Session, metadata: bool) -> None:
    for queue in ("q1", "q2"):
        partitions = session.partitions(2, queue)
        for group in ("g", "h"):
            subscribe(session, queue, group)
            session.open_cursors(partitions, group)
    assert session.one("select {s}.delete_group_from('q1', 'g', %s)", metadata) == 2
    left = session.rows(
        "select q.name, c.consumer_group, count(*) from {s}.cursors c join {s}.partitions p using (partition_id)"
        " join {s}.queues q using (queue_id) group by 1, 2 order by 1, 2"
    )
    assert [tuple(row) for row in left] == [("q1", "h", 2), ("q2", "g", 2), ("q2", "h", 2)]
    assert session.one("select count(*) from {s}.subscriptions") == (3 if metadata else 4)
    assert session.one("select {s}.delete_group_from('q1', 'g', true)") == 0
    assert session.one("select {s}.delete_group_from('unknown', 'g', true)") == 0
