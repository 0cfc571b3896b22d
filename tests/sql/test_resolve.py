"""resolve(): ids of names, made on first use, by two callers at once as well."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.sql.client import Session
from tests.sql.waiting import until_blocked


def test_what_is_missing_is_created_and_what_is_there_is_found(session: Session) -> None:
    first = session.resolve(("orders", "a"), ("orders", "b"), ("bills", "a"))
    assert len({row.partition_id for row in first}) == 3
    assert first[0].queue_id == first[1].queue_id != first[2].queue_id
    assert session.resolve(("bills", "a"), ("orders", "b"), ("orders", "a")) == list(reversed(first))
    assert {row.epoch for row in first} == {1}


def test_equal_pairs_get_equal_ids(session: Session) -> None:
    rows = session.resolve(("q", "p"), ("q", "p2"), ("q", "p"))
    assert rows[0] == rows[2] != rows[1]
    assert session.one("select count(*) from {s}.partitions") == 2


def test_namespace_and_task_come_from_the_name(session: Session) -> None:
    session.resolve(("parcels.scanned.late", "p"), ("plain", "p"), ("", ""))
    rows = session.rows("select name, namespace, task, options, dedup_window_s from {s}.queues order by name")
    assert [tuple(row) for row in rows] == [
        ("", "", "", {}, 3600),
        ("parcels.scanned.late", "parcels", "scanned", {}, 3600),
        ("plain", "plain", "", {}, 3600),
    ]


def test_names_are_kept_as_they_are(session: Session) -> None:
    names = ["Ä/ö %20", "a'b\"c", "\U0001f41d" * 255, "A", "a", " "]
    session.resolve(*[(name, name) for name in names])
    assert {row.name for row in session.rows("select name from {s}.queues")} == set(names)
    assert {row.name for row in session.rows("select name from {s}.partitions")} == set(names)


def test_ids_are_never_used_twice(session: Session) -> None:
    before = session.resolve(("q", "p"))[0]
    assert session.one("select {s}.delete_queue('q')")
    after = session.resolve(("q", "p"))[0]
    assert after.queue_id > before.queue_id
    assert after.partition_id > before.partition_id


def test_two_callers_at_once_get_the_same_ids(session: Session, another: Callable[[], Session]) -> None:
    one, two = another(), another()
    found: list[list[object]] = []
    thread = threading.Thread(target=lambda: found.append(two.resolve(("q", "b"), ("q", "a"), ("r", "c"))))
    with one.connection.transaction():
        mine = one.resolve(("q", "a"), ("q", "b"))
        thread.start()
        until_blocked(session, two)
        assert found == []
    thread.join(60)
    assert found[0][1] == mine[0]
    assert found[0][0] == mine[1]
    assert session.one("select count(*) from {s}.queues") == 2
    assert session.one("select count(*) from {s}.partitions") == 3


def test_many_new_partitions_in_one_call(session: Session) -> None:
    rows = session.resolve(*[("q", f"p{n}") for n in range(1000)])
    assert len({row.partition_id for row in rows}) == 1000
    assert session.one("select next_id from {s}.counters where name = 'partition'") == 1001
