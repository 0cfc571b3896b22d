"""set_switch(), read_switch() and what a beat says of it; undelivered(): how full queues are."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from tests.sql.client import Row, Session, Signal
from tests.sql.waiting import until_blocked

_TURN = ("text", "boolean")


def _turn(session: Session, is_on: bool) -> tuple[bool, int]:
    [row] = session.call("set_switch", _TURN, "pop_maintenance", is_on)
    return row.is_on, row.version


def test_a_switch_counts_its_changes_and_only_those(session: Session) -> None:
    assert _turn(session, False) == (False, 0)
    assert [_turn(session, is_on) for is_on in (True, True, False, True)] == [
        (True, 1), (True, 1), (False, 2), (True, 3)
    ]  # fmt: skip
    [row] = session.call("read_switch", ("text",), "pop_maintenance")
    assert (row.is_on, row.version) == (True, 3)


def test_a_beat_says_how_the_switch_stands(session: Session) -> None:
    _turn(session, True)
    [row] = session.call("beat", ("uuid", "text", "integer", "bigint"), uuid.UUID(int=1), "test", 4, 60_000)
    assert (row.pops_paused, row.pause_version) == (True, 1)


def test_two_that_turn_a_switch_at_once_count_one_after_the_other(
    session: Session, another: Callable[[], Session]
) -> None:
    other, found = another(), []
    _turn(session, True)
    with session.connection.transaction():
        _turn(session, False)
        thread = threading.Thread(target=lambda: found.append(_turn(other, False)))
        thread.start()
        until_blocked(another(), other)
    thread.join()
    assert found == [(False, 2)], "the change of the other was waited for, and was the same"


def _fills(session: Session, *queues: tuple[str, int], limit: int = 100) -> dict[tuple[str, str | None], Row]:
    """The rows by queue and group; each queue with the partition to go on after."""
    names = {session.one("select queue_id from {s}.queues where name = %s", name): name for name, _ in queues}
    rows = session.call(
        "undelivered", ("integer[]", "bigint[]", "integer"), list(names), [after for _, after in queues], limit
    )
    return {(names[row.queue_id], row.consumer_group): row for row in rows}


def _counts(session: Session, *queues: str) -> dict[tuple[str, str | None], int]:
    return {place: row.messages for place, row in _fills(session, *[(name, 0) for name in queues]).items()}


def test_a_queue_holds_what_is_kept_and_a_group_does_not_wait_for_what_it_settled(session: Session) -> None:
    one, two = session.partitions(2)
    session.push({one: ["a", "b", "c"], two: ["d"]})
    assert _counts(session, "q") == {("q", None): 4}
    session.open_cursors([one, two])
    session.open_cursors([one], group="h")
    session.pop(one, batch=3)
    session.ack(Signal(one, session.lease, completed=1))
    assert _counts(session, "q") == {("q", None): 4, ("q", "g"): 3, ("q", "h"): 0}, "two settled, one leased"
    session.rows("update {s}.cursors set lease_until = now() - interval '1 second' where lease_id is not null")
    assert _counts(session, "q")["q", "g"] == 2, "a lease that ran out counts no more"


def test_a_registered_group_waits_for_what_is_in_partitions_that_it_never_saw(session: Session) -> None:
    number = session.partition()
    queue_id = session.one("select queue_id from {s}.queues")
    session.call("subscribe", ("integer", "text", "text", "timestamptz"), queue_id, "away", "all", None)
    session.push({number: ["a"]})
    session.open_cursors([number])
    session.ack(Signal(number, None, completed=0))
    rows = session.call("undelivered", ("integer[]", "bigint[]", "integer"), [queue_id], [0], 10)
    assert {(row.consumer_group, row.messages) for row in rows} == {(None, 1), ("g", 1), ("away", 0)}


def test_what_retention_let_go_is_neither_held_nor_waited_for(session: Session) -> None:
    number = session.partition()
    session.push({number: ["a", "b", "c", "d"]})
    session.open_cursors([number])
    session.rows("update {s}.partitions set first_offset = 3")
    assert _counts(session, "q") == {("q", None): 1, ("q", "g"): 0}


def test_large_queues_are_looked_at_page_by_page(session: Session) -> None:
    numbers = session.partitions(3)
    small = session.partition(queue="small")
    session.push({number: ["a"] for number in (*numbers, small)})
    first = _fills(session, ("q", 0), ("small", 0), limit=2)
    assert (first["q", None].messages, first["q", None].last) == (2, numbers[1])
    assert (first["small", None].messages, first["small", None].last) == (1, None)
    rest = _fills(session, ("q", numbers[1]), limit=2)
    assert (rest["q", None].messages, rest["q", None].last) == (1, None)
