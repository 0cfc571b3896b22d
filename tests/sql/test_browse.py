"""The ways to search messages: over children, statuses and times, and where each of them stops."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql import upkeep
from tests.sql.client import Row, Session, Signal

_TIMES = ("text", "timestamptz", "timestamptz", "integer")


@pytest.fixture
def p(session: Session) -> int:
    """A partition whose messages m0 … m8 lie in three children, an hour apart; the last child is the newest."""
    number = session.partition()
    for epoch in (1, 2, 3):
        session.push({number: [f"m{3 * epoch - 3 + n}" for n in range(3)]})
        if epoch < 3:
            upkeep.close(session)
            upkeep.pass_time(session, 3600)
    return number


def partitions(session: Session, *ids: int, status: str | None = None, limit: int = 100, **times: Any) -> list[int]:
    asked = (list(ids), status, times.get("since"), times.get("until"), limit)
    return [row.offset for row in session.call("browse_partitions", ("bigint[]", *_TIMES), *asked)]


def queues(session: Session, status: str | None = None, limit: int = 100, looks: int = 1000, **times: Any) -> list[Row]:
    queue = session.one("select queue_id from {s}.queues where name = 'q'")
    asked = ([queue], status, times.get("since"), times.get("until"), limit, looks)
    return session.call("browse_queues", ("integer[]", *_TIMES, "integer"), *asked)


def tail(session: Session, status: str | None = None, limit: int = 100, **more: Any) -> list[Row]:
    asked = (more.get("namespace"), more.get("task"), status, more.get("since"), more.get("until"), limit)
    types = ("text", "text", *_TIMES, "integer", "integer")
    return session.call("browse_tail", types, *asked, more.get("looks", 1000), more.get("pages", 100))


def ago(session: Session, minutes: int) -> object:
    return session.one("select now() - %s * interval '1 minute'", minutes)


def test_a_partition_is_searched_over_its_children(session: Session, p: int) -> None:
    assert partitions(session, p) == list(range(8, -1, -1))
    assert partitions(session, p, limit=4) == [8, 7, 6, 5]
    assert partitions(session, p, since=ago(session, 90)) == [8, 7, 6, 5, 4, 3]
    assert partitions(session, p, since=ago(session, 90), until=ago(session, 30)) == [5, 4, 3]
    assert partitions(session, p, until=ago(session, 200)) == []
    assert partitions(session, p + 1) == []


def test_a_status_of_queue_mode_is_a_range(session: Session, p: int) -> None:
    session.open_cursors([p], "__QUEUE_MODE__")
    session.pop(p, group="__QUEUE_MODE__", batch=2)
    session.ack(Signal(p, session.lease, "__QUEUE_MODE__", completed=0))
    session.open_cursors([p], "g")
    assert partitions(session, p, status="completed") == [0]
    assert partitions(session, p, status="processing") == [1]
    assert partitions(session, p, status="pending") == list(range(8, 1, -1))
    session.expire(p, "__QUEUE_MODE__")
    assert partitions(session, p, status="processing") == []
    assert 1 in partitions(session, p, status="pending")


def test_a_status_of_groups_is_that_of_the_slowest(session: Session, p: int) -> None:
    assert partitions(session, p, status="pending") == list(range(8, -1, -1))
    assert partitions(session, p, status="completed") == []
    for group, batch in (("g", 3), ("h", 1)):
        session.open_cursors([p], group)
        session.pop(p, group=group, batch=batch)
        session.ack(Signal(p, session.lease, group, completed=batch - 1))
    assert partitions(session, p, status="completed") == [0]
    session.pop(p, group="h", batch=2)
    assert partitions(session, p, status="processing") == [2, 1]
    assert partitions(session, p, status="pending") == list(range(8, 2, -1))


def test_scheduled_messages_are_among_them(session: Session, p: int) -> None:
    session.schedule(p, "later", "latest")
    assert partitions(session, p, limit=3) == [-1, -2, 8]
    assert partitions(session, p, status="scheduled") == [-1, -2]
    assert partitions(session, p, status="pending", limit=1) == [8]
    assert [row.offset for row in queues(session, "scheduled")] == [-2, -1]
    assert len(queues(session)) == 11
    assert len(queues(session, "pending")) == 9
    assert [row.offset for row in tail(session, "scheduled")] == [-2, -1]


def test_a_queue_is_searched_backwards_over_the_children(session: Session, p: int) -> None:
    other = session.partition("p", "another")
    session.push({other: ["x"]})
    assert [row.offset for row in queues(session)] == list(range(8, -1, -1))
    assert [row.offset for row in queues(session, limit=4)] == [8, 7, 6, 5]
    assert [row.offset for row in queues(session, since=ago(session, 90), until=ago(session, 30))] == [5, 4, 3]


def test_a_search_by_place_says_that_it_ended_early(session: Session, p: int) -> None:
    assert [row.offset for row in queues(session, looks=2)] == [8, 7, None]
    assert [row.offset for row in tail(session, looks=2)] == [8, 7, None]
    assert [row.offset for row in tail(session, pages=1)] == [8, 7, 6, None]


def test_all_queues_are_searched_from_the_end_of_the_tables(session: Session, p: int) -> None:
    other = session.partition("p", "space.task")
    session.push({other: ["x"]})
    assert [(row.partition_id, row.offset) for row in tail(session, limit=3)] == [(other, 0), (p, 8), (p, 7)]
    assert [row.partition_id for row in tail(session, namespace="space")] == [other]
    assert [row.partition_id for row in tail(session, task="task")] == [other]
    assert tail(session, namespace="space", task="none") == []
    assert [row.offset for row in tail(session, until=ago(session, 30))] == [5, 4, 3, 2, 1, 0]


def test_a_time_that_is_over_is_found_by_halving(session: Session) -> None:
    p = session.partition()
    ids = [f"m{n}" for n in range(400)]
    session.push({p: ids[:200]}, payloads=['"' + "x" * 2000 + '"'] * 200)
    upkeep.pass_time(session, 3600)
    session.push({p: ids[200:]}, payloads=['"' + "x" * 2000 + '"'] * 200)
    rows = tail(session, until=ago(session, 30), limit=5, pages=30)
    assert [row.offset for row in rows] == [199, 198, 197, 196, 195]


def show(session: Session, *keys: tuple[int, int, int | None], bytes_max: int = 1 << 20) -> list[Row]:
    columns = [list(column) for column in zip(*keys, strict=True)]
    types = ("bigint[]", "bigint[]", "integer[]", "text", "integer", "integer", "bigint")
    return session.call("show_messages", types, *columns, None, 0, 100, bytes_max)


def test_a_page_is_cut_by_its_bytes_but_for_the_first(session: Session, p: int) -> None:
    keys = ((p, 8, 3), (p, 7, 3), (p, 6, 3))
    assert [row.fits for row in show(session, *keys, bytes_max=8)] == [True, True, False]
    assert [(row.fits, row.payload) for row in show(session, *keys, bytes_max=0)] == [
        (True, '"m8"'), (False, None), (False, None)
    ]  # fmt: skip


def test_hidden_messages_are_left_out_unless_a_dead_letter_has_a_copy(session: Session, p: int) -> None:
    session.open_cursors([p])
    session.pop(p, batch=3)
    session.ack_failed(Signal(p, session.lease, dead=1, error="poison"))
    session.call("hide", ("bigint[]", "bigint[]"), [p], [3])
    assert [(row.offset, row.status) for row in show(session, (p, 0, 1), (p, 1, None), (p, 3, 2))] == [
        (1, "dead_letter"),
        (3, "pending"),
    ]
    found = session.call("find_message", ("bigint", "text"), p, "m1")[0]
    assert tuple(found) == (p, 1, None)
    assert session.call("find_message", ("bigint", "text"), p, "m0") == []


def test_dead_letters_are_searched_by_partition_queue_and_all(session: Session, p: int) -> None:
    session.open_cursors([p])
    for number in range(3):
        session.pop(p, batch=1)
        session.ack_failed(Signal(p, session.lease, dead=number, error="poison"))
    types = ("integer[]", "bigint", "text", "text", "timestamptz", "timestamptz", "integer", "integer")
    queue = session.one("select queue_id from {s}.queues where name = 'q'")
    for queue_ids, partition in (([queue], None), (None, p), (None, None)):
        rows = session.call("browse_dead_letters", types, queue_ids, partition, None, None, None, None, 2, 100)
        assert [row.offset for row in rows] == [2, 1]
        rows = session.call("browse_dead_letters", types, queue_ids, partition, None, None, None, None, 5, 2)
        assert [row.offset for row in rows] == [2, 1, None]
    nothing = (None, None, None, None, None)
    assert session.call("browse_dead_letters", types, [queue + 1], *nothing, 5, 5) == []
    assert len(session.call("browse_dead_letters", types, None, None, "q", "", None, None, 5, 5)) == 3
    assert session.call("browse_dead_letters", types, None, None, "x", None, None, None, 5, 5) == []


def test_the_scope_of_a_search(session: Session, p: int) -> None:
    def scope(*names: str | None, partitions_max: int = 5, queues_max: int = 5) -> tuple[object, object]:
        types = ("text", "text", "text", "text", "integer", "integer")
        return tuple(session.call("browse_scope", types, *names, partitions_max, queues_max)[0])

    other = session.partition("p", "q.task")
    one, two = (session.one("select queue_id from {s}.queues where name = %s", name) for name in ("q", "q.task"))
    assert scope(None, None, None, None) == (None, None)
    assert scope("q", None, None, None) == ([one], [p])
    assert scope("q", "p", None, None) == ([one], [p])
    assert scope("q", "x", None, None) == ([one], [])
    assert scope("x", None, None, None) == ([], [])
    assert scope("q", None, "x", None) == ([], [])
    assert scope(None, None, "q", None) == ([one, two], [p, other])
    assert scope(None, None, None, "task") == ([two], [other])
    assert scope(None, None, "q", None, partitions_max=1) == ([one, two], None)
    assert scope(None, None, "q", None, queues_max=1) == (None, None)
