"""Numbers of queues and groups: counted, kept by the walk, and read from what it kept."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.sql.client import Row, Session, Signal

NEVER_LIVE = 0
ALWAYS_LIVE = 1000


def queue_id(session: Session, name: str = "q") -> int:
    return int(session.one("select queue_id from {s}.queues where name = %s", name))


def numbers(session: Session, *queues: str, live_max: int = ALWAYS_LIVE, oldest: bool = False) -> dict[str, Row]:
    ids = {queue_id(session, name): name for name in queues}
    rows = session.call("queue_numbers", ("integer[]", "integer", "boolean"), list(ids), live_max, oldest)
    return {ids[row.queue_id]: row for row in rows}


def groups(session: Session, live_max: int = ALWAYS_LIVE, **where: Any) -> list[Row]:
    types = ("integer[]", "text", "integer", "integer", "integer")
    asked = {"queue_ids": None, "group": None, "limit": 100, "offset": 0, **where}
    return session.call("group_numbers", types, *asked.values(), live_max)


def step(session: Session, place: Row | None = None, limit: int = 3) -> Row:
    """The page of the walk behind `place`, or the first."""
    asked = (place.queue_id, place.after, limit, place.carry) if place else (0, 0, limit, None)
    return session.call("refresh_stats", ("integer", "bigint", "integer", "text"), *asked)[0]


def walk(session: Session, limit: int = 3) -> list[Row]:
    """A whole walk; its pages."""
    pages = [step(session, None, limit)]
    while pages[-1].queue_id is not None:
        pages.append(step(session, pages[-1], limit))
    return pages


def plain(row: Row) -> tuple[Any, ...]:
    """All but when it was computed, and the bytes: PostgreSQL's own count of rows, from which they come, is late."""
    return tuple(value for name, value in row._asdict().items() if name not in ("computed_at", "retained_bytes"))


def fill(session: Session, queue: str, partitions: int, messages: int = 4) -> list[int]:
    """Partitions with messages; group g has acked one of each and holds two of the first under a lease."""
    ids = session.partitions(partitions, queue)
    session.push({number: [f"{queue}-{number}-{n}" for n in range(messages)] for number in ids})
    session.open_cursors(ids)
    for number in ids:
        session.pop(number, batch=1, auto=True)
    session.pop(ids[0], batch=2)
    return ids


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9, 10, 11, 100])
def test_what_a_walk_keeps_is_what_there_is(session: Session, limit: int) -> None:
    for name, count in (("a", 2), ("b", 7), ("c", 1)):
        fill(session, name, count)
    pages = walk(session, limit)
    assert sum(page.partitions for page in pages) == 10
    assert sum(page.queues for page in pages) == 3
    counted = numbers(session, "a", "b", "c", oldest=True)
    kept = numbers(session, "a", "b", "c", live_max=NEVER_LIVE)
    assert {name: plain(row) for name, row in kept.items()} == {name: plain(row) for name, row in counted.items()}
    assert {row.computed_at for row in counted.values()} == {None}
    assert None not in {row.computed_at for row in kept.values()}
    assert [plain(row) for row in groups(session, NEVER_LIVE)] == [plain(row) for row in groups(session)]
    row = kept["b"]
    assert (row.partitions, row.total, row.pending, row.processing) == (7, 28, 21, 2)
    assert (row.partitions_pending, row.partitions_ready) == (7, 7)


def test_a_page_is_bounded_and_a_queue_is_written_when_the_walk_has_passed_it(session: Session) -> None:
    fill(session, "a", 2)
    fill(session, "b", 7)
    first = step(session)
    assert (first.partitions, first.queues) == (3, 1)
    assert session.rows("select queue_id from {s}.queue_stats") == [(queue_id(session, "a"),)]
    second = step(session, first)
    assert (second.partitions, second.queues) == (3, 0)
    third = step(session, second)
    assert (third.partitions, third.queues) == (3, 0), "a full page may not be the end"
    last = step(session, third)
    assert (last.partitions, last.queues, last.queue_id) == (0, 1, None)


def test_a_walk_over_nothing_ends_at_once(session: Session) -> None:
    [page] = walk(session)
    assert (page.queue_id, page.partitions, page.queues) == (None, 0, 0)


def test_a_queue_that_is_deleted_in_mid_walk_is_not_kept(session: Session) -> None:
    fill(session, "a", 2)
    fill(session, "b", 7)
    walk(session)
    page = step(session)
    page = step(session, page)
    session.one("select {s}.delete_queue('b')")
    assert session.one("select count(*) from {s}.group_stats where queue_id <> %s", queue_id(session, "a")) == 0
    while page.queue_id is not None:
        page = step(session, page)
    assert session.rows("select queue_id from {s}.queue_stats") == [(queue_id(session, "a"),)]
    assert session.rows("select queue_id from {s}.group_stats") == [(queue_id(session, "a"),)]


def test_rows_of_what_is_gone_leave_with_the_next_walk(session: Session) -> None:
    fill(session, "a", 2)
    walk(session)
    for table, columns in (("queue_stats", ""), ("group_stats", "'gone',")):
        for number in (0, 999):
            zeros = "now(), 0, 0, 0, 0, 0, 0, 0, 0, null" if not columns else "now(), 0, 0, 0, 0, 0, false, null"
            session.rows(f"insert into {{s}}.{table} values ({number}, {columns} {zeros})")
    session.rows("insert into {s}.group_stats values (%s, 'gone', now(), 0, 0, 0, 0, 0, false, null)",
                 queue_id(session, "a"))  # fmt: skip
    walk(session)
    assert session.rows("select queue_id from {s}.queue_stats") == [(queue_id(session, "a"),)]
    assert session.rows("select consumer_group from {s}.group_stats") == [("g",)]


def test_a_deleted_group_is_not_kept(session: Session) -> None:
    ids = fill(session, "a", 2)
    session.open_cursors(ids, "h")
    session.call("subscribe", ("integer", "text", "text", "timestamptz"), queue_id(session, "a"), "h", "all", None)
    walk(session)
    session.one("select {s}.delete_group('h', true)")
    assert [row.consumer_group for row in groups(session, NEVER_LIVE)] == ["g"]


def test_a_later_walk_writes_over_an_earlier_one(session: Session) -> None:
    [number] = fill(session, "a", 1)
    walk(session)
    session.push({number: ["more"]})
    assert numbers(session, "a", live_max=NEVER_LIVE)["a"].total == 4
    walk(session)
    assert numbers(session, "a", live_max=NEVER_LIVE)["a"].total == 5


def test_above_the_bound_the_kept_numbers_are_told_and_below_it_those_of_now(session: Session) -> None:
    ids = fill(session, "a", 3)
    walk(session)
    session.push({ids[0]: ["more"]})
    assert numbers(session, "a", live_max=2)["a"].total == 12
    assert numbers(session, "a", live_max=3)["a"].total == 13


def test_many_cursors_on_few_partitions_are_not_counted_either(session: Session) -> None:
    ids = fill(session, "a", 2)
    for number in range(4):
        session.open_cursors(ids, f"more-{number}")
    walk(session)
    assert numbers(session, "a", live_max=2)["a"].computed_at is None, "ten cursors"
    session.open_cursors(ids[:1], "one more")
    assert numbers(session, "a", live_max=2)["a"].computed_at is not None


def test_queues_that_no_walk_has_seen_are_counted_within_the_bound(session: Session) -> None:
    fill(session, "old", 3)
    walk(session)
    fill(session, "new", 2)
    found = numbers(session, "old", "new", live_max=2)
    assert found["old"].computed_at is not None
    assert (found["new"].computed_at, found["new"].total) == (None, 8)
    fill(session, "newer", 1)
    found = numbers(session, "old", "new", "newer", live_max=2)
    assert {name: row.computed_at.year for name, row in found.items() if name != "old"} == {"new": 1970, "newer": 1970}


def test_a_queue_without_partitions_has_no_numbers(session: Session) -> None:
    session.configure("empty")
    assert numbers(session, "empty") == {}


def test_pending_and_lag_of_a_partition_without_any_cursor(session: Session) -> None:
    session.push({session.partition(): ["a", "b"]})
    walk(session)
    assert numbers(session, "q", live_max=NEVER_LIVE)["q"].pending == 2
    assert groups(session) == []
    assert groups(session, NEVER_LIVE) == []
    oldest = numbers(session, "q", live_max=NEVER_LIVE)["q"].oldest_pending_at
    assert oldest == session.one("select min(created_at) from {s}.messages")


def test_dead_letters_are_counted(session: Session) -> None:
    number = session.partition()
    session.push({number: ["a", "b"]})
    session.open_cursors([number])
    session.pop(number)
    session.ack_failed(Signal(number, session.lease, dead=0, error="no"))
    walk(session)
    assert [numbers(session, "q", live_max=bound)["q"].dead_letters for bound in (NEVER_LIVE, ALWAYS_LIVE)] == [1, 1]


def test_the_oldest_pending_message_is_that_of_the_longest_backlog_or_of_the_quietest_partition(
    session: Session,
) -> None:
    long, quiet, done = session.partitions(3)
    session.push({quiet: ["q"]})
    session.push({long: ["a"], done: ["x"]})
    session.push({long: ["b", "c"]})
    session.open_cursors([long, quiet, done])
    session.pop(done, auto=True)
    at = {row.transaction_id: row.created_at for row in session.rows("select * from {s}.messages")}
    [row] = groups(session)
    assert (row.members, row.partitions_with_lag, row.total_lag, row.oldest_pending_at) == (3, 2, 4, at["q"])
    session.pop(quiet, auto=True)
    session.pop(long, auto=True, batch=1)
    assert groups(session)[0].oldest_pending_at == at["b"]
    session.pop(long, auto=True)
    [row] = groups(session)
    assert (row.partitions_with_lag, row.total_lag, row.oldest_pending_at) == (0, 0, None)


def test_a_group_that_acked_once_has_consumed_for_good(session: Session) -> None:
    number = session.partition()
    session.push({number: ["a", "b"]})
    session.open_cursors([number])
    walk(session)
    assert [row.consumed for row in groups(session, NEVER_LIVE)] == [False]
    session.pop(number, batch=1)
    session.ack(Signal(number, session.lease, completed=0))
    walk(session)
    session.ack(Signal(number, completed=0))
    walk(session)
    assert [row.consumed for row in (*groups(session, NEVER_LIVE), *groups(session))] == [True, True]


def test_groups_come_by_name_and_queue_in_pages(session: Session) -> None:
    for name in ("a", "b"):
        ids = fill(session, name, 1)
        session.open_cursors(ids, "f")
    walk(session)
    a, b = queue_id(session, "a"), queue_id(session, "b")
    every = [("f", a), ("f", b), ("g", a), ("g", b)]
    for bound in (NEVER_LIVE, ALWAYS_LIVE):

        def found(bound: int = bound, **where: Any) -> list[tuple[str, int]]:
            return [(row.consumer_group, row.queue_id) for row in groups(session, bound, **where)]

        assert found() == every
        assert found(limit=2, offset=1) == every[1:3]
        assert found(group="g") == every[2:]
        assert found(queue_ids=[b]) == [every[1], every[3]]
        assert found(queue_ids=[b], group="f") == [every[1]]


def test_times_of_many_places_are_those_of_each(session: Session) -> None:
    ids = session.partitions(3)
    session.push({number: ["a", "b"] for number in ids})
    session.one("select {s}.rotate(1, 1000)")
    session.push({ids[0]: ["c"], ids[1]: ["c"]})
    session.one("select {s}.rotate(2, 1000)")
    session.push({ids[0]: ["d"]})
    asked = [(number, offset) for number in ids for offset in range(5)]
    columns = [list(column) for column in zip(*asked, strict=True)]

    def check() -> None:
        found = session.one("select {s}.stored_at_each(%s::bigint[], %s::bigint[])", *columns)
        assert found == [session.one("select {s}.stored_at(%s, %s)", *one) for one in asked]
        assert len([at for at in found if at is not None]) == 9

    check()
    while session.one("select min(epoch) from {s}.epochs where recorded_at is null") == 1:
        session.one("select {s}.record_spans(1, 0, 10)")
    check()


def test_a_partition_that_a_group_has_not_touched_counts_from_its_start(session: Session) -> None:
    old, fresh, touched = session.partitions(3)
    session.push({old: ["a", "b"], fresh: ["a"], touched: ["a", "b"]})
    subscribe = ("integer", "text", "text", "timestamptz")
    session.call("subscribe", subscribe, queue_id(session), "late", "new", None)
    session.push({fresh: ["b", "c"]})
    session.open_cursors([touched], "late")
    session.push({touched: ["c"]})

    def depth(group: str | None) -> dict[int, int]:
        types = ("integer", "text", "integer", "integer", "integer")
        rows = session.call("depth", types, queue_id(session), group, 10, 0, ALWAYS_LIVE)
        return {row.partition_id: row.pending for row in rows}

    assert depth("late") == {old: 0, fresh: 2, touched: 1}
    assert depth("nobody") == {old: 2, fresh: 3, touched: 3}
    assert depth(None) == {old: 2, fresh: 3, touched: 1}


def test_the_depth_of_a_large_queue_comes_in_pages(session: Session) -> None:
    fill(session, "q", 5)
    types = ("integer", "text", "integer", "integer", "integer")
    page = session.call("depth", types, queue_id(session), "g", 2, 1, 4)
    assert [(row.name, row.pending, row.processing, row.whole) for row in page] == [
        ("p1", 3, 0, False),
        ("p2", 3, 0, False),
    ]
    whole = session.call("depth", types, queue_id(session), "g", 2, 1, 5)
    assert [row.name for row in whole] == ["p0", "p1", "p2", "p3", "p4"]
    assert sum(row.processing for row in whole) == 2


@pytest.mark.parametrize("live_max", [NEVER_LIVE, ALWAYS_LIVE])
def test_the_overview_and_the_namespaces_add_up(session: Session, live_max: int) -> None:
    for name, count in (("eu.a", 2), ("eu.b", 1), ("us.a", 1)):
        fill(session, name, count)
    session.configure("empty")
    walk(session)
    row = session.call("overview", ("integer",), live_max)[0]
    assert (row.queues, row.partitions, row.namespaces, row.tasks) == (4, 4, 3, 3)
    assert (row.total, row.pending, row.processing, row.dead_letters) == (16, 12, 6, 0)
    assert row.offset_lags == [4.0, 3.0, 3.0, 6.0]
    assert all(seconds > 0 for seconds in row.time_lags)
    without = session.call("overview", ("integer", "boolean"), live_max, False)[0]
    assert (without.time_lags, without.offset_lags, without[:9]) == ([], [], row[:9])
    assert (row.stats_age == 0) is (live_max == ALWAYS_LIVE)
    types = ("text", "integer", "integer", "integer")
    by_namespace = [tuple(one) for one in session.call("numbers_by", types, "namespace", 10, 0, live_max)]
    assert by_namespace == [("", 1, 0, 0, 0), ("eu", 2, 3, 12, 9), ("us", 1, 1, 4, 3)]
    by_task = [tuple(one) for one in session.call("numbers_by", types, "task", 2, 1, live_max)]
    assert by_task == [("a", 2, 3, 12, 9), ("b", 1, 1, 4, 3)]


def test_what_is_in_work_is_that_of_the_slowest_group(session: Session) -> None:
    [number] = session.partitions(1, "q")
    session.push({number: [f"m{n}" for n in range(10)]})
    for group in ("fast", "slow"):
        session.open_cursors([number], group)
    session.pop(number, group="fast", batch=4, auto=True)
    session.pop(number, group="fast", batch=5)
    session.pop(number, group="slow", batch=2)

    def seen() -> set[tuple[int, int]]:
        three = ("integer", "integer", "integer")
        depth = session.call("depth", (three[0], "text", *three), queue_id(session), None, 10, 0, ALWAYS_LIVE)
        stats = session.call("partition_stats", three, queue_id(session), 10, 0)
        return {(row.pending, row.processing) for row in [*depth, *stats, numbers(session, "q")["q"]]}

    assert seen() == {(10, 2)}
    session.open_cursors([number], "idle")
    assert seen() == {(10, 0)}, "nobody of the group that stands as far back has one"
    assert numbers(session, "q")["q"].partitions_ready == 1


def test_a_lease_on_messages_that_are_hidden_counts_what_is_left(session: Session) -> None:
    [number] = session.partitions(1, "q")
    session.push({number: [f"m{n}" for n in range(10)]})
    session.open_cursors([number])
    session.pop(number, batch=6)
    session.rows("update {s}.partitions set first_offset = 5 where partition_id = %s", number)
    row = numbers(session, "q")["q"]
    assert (row.total, row.pending, row.processing) == (5, 5, 1)
    [group] = groups(session)
    assert (group.total_lag, group.processing, group.partitions_ready) == (5, 1, 1)
    session.rows("update {s}.partitions set first_offset = 10 where partition_id = %s", number)
    assert (groups(session)[0].processing, numbers(session, "q")["q"].processing) == (0, 0)


def test_the_overview_of_nothing(session: Session) -> None:
    row = session.call("overview", ("integer",), ALWAYS_LIVE)[0]
    assert (row.queues, row.total, row.stats_age, row.time_lags, row.offset_lags) == (0, 0, 0, [0] * 4, [0] * 4)


def test_kept_numbers_that_never_were_have_no_age(session: Session) -> None:
    fill(session, "a", 2)
    assert session.call("overview", ("integer",), NEVER_LIVE)[0].stats_age == -1


def test_partitions_come_by_name_or_all_of_them_by_id(session: Session) -> None:
    first = session.partition("z", "a")
    second = session.partition("y", "a")
    third = session.partition("x", "b")
    session.push({first: ["m", "n"], third: ["m"]})
    session.open_cursors([first])
    session.pop(first, batch=1, auto=True)
    types = ("integer", "integer", "integer")
    named = session.call("partition_stats", types, queue_id(session, "a"), 10, 0)
    assert [(row.name, row.total, row.pending, row.consumed) for row in named] == [("y", 0, 0, 0), ("z", 2, 1, 1)]
    assert named[0].oldest is named[0].newest is named[0].last_write_at is None
    assert named[1].oldest == named[1].newest == named[1].last_write_at
    every = session.call("partition_stats", types, None, 2, 1)
    assert [row.partition_id for row in every] == [second, third]


def test_two_walks_at_once_leave_the_same(session: Session) -> None:
    fill(session, "a", 4)
    fill(session, "b", 4)
    one, other = step(session), step(session)
    while one.queue_id is not None or other.queue_id is not None:
        one = step(session, one) if one.queue_id is not None else one
        other = step(session, other) if other.queue_id is not None else other
    assert [row.total for row in numbers(session, "a", "b", live_max=NEVER_LIVE).values()] == [16, 16]


def test_an_expired_lease_is_not_processing(session: Session) -> None:
    [number] = fill(session, "a", 1)
    assert numbers(session, "a")["a"].processing == 2
    session.expire(number)
    assert numbers(session, "a")["a"].processing == 0
    session.pop(number, batch=1, lease=uuid.uuid4())
    assert groups(session)[0].processing == 1
