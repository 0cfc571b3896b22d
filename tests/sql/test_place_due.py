"""place_due(): scheduled messages move to the end of the order, once each, whoever else is at work."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from queen import model
from tests.sql.client import Session, Signal
from tests.sql.waiting import until


def _order(session: Session, p: int) -> list[str]:
    """Transaction ids of what has a place in the order."""
    return [name for offset, name in session.stored(p) if offset >= 0]


@pytest.fixture
def p(session: Session) -> int:
    number = session.partition()
    session.open_cursors([number])
    return number


@pytest.mark.parametrize("place", [-1, -2, -12_345, -(1 << 59)])
@pytest.mark.parametrize("number", [1, 77, (1 << 48) - 1])
def test_ids_are_those_of_the_program(session: Session, number: int, place: int) -> None:
    text = model.encode_id(model.MESSAGE, number, place)
    assert str(session.one("select {s}.message_id(%s, %s)", number, place)) == text
    assert session.one("select {s}.announced_place(%s::uuid)", text) == place
    assert model.decode_id(text, model.MESSAGE) == (number, place)


def test_a_move_writes_the_message_anew(session: Session, p: int) -> None:
    session.schedule(p, "a")
    [row] = session.rows("select * from {s}.messages")
    assert (row.offset, row.status, row.scheduled_at > row.created_at) == (-1, "scheduled", True)
    session.ripen()
    session.push({p: ["b"]})
    placed = session.place_due()
    assert (placed.partition_ids, placed.heads, placed.placed, placed.blocked, placed.due_ms) == ([p], [2], 1, [], None)
    row = session.rows('select * from {s}.messages where "offset" = 1')[0]
    assert (row.status, row.scheduled_at, row.once, row.payload) == ("pending", None, True, '"a"')
    assert str(row.first_id) == model.encode_id(model.MESSAGE, p, -1)
    assert row.created_at == session.one("select last_write_at from {s}.partitions")
    assert session.one("select count(*) from {s}.messages") == 2


def test_a_scheduled_message_is_counted_only_when_it_is_in_the_order(session: Session, p: int) -> None:
    queue = session.one("select queue_id from {s}.partitions")
    session.schedule(p, "a", "b")
    counts = "select total, pending from {s}.queue_numbers(array[%s], 10, false)"
    each = "select total, pending from {s}.partition_stats(%s, 10, 0)"
    assert [tuple(session.rows(text, queue)[0]) for text in (counts, each)] == [(0, 0), (0, 0)]
    session.ripen()
    session.place_due()
    assert [tuple(session.rows(text, queue)[0]) for text in (counts, each)] == [(2, 2), (2, 2)]


def test_a_dead_letter_keeps_the_id_that_was_announced(session: Session, p: int) -> None:
    session.schedule(p, "a")
    session.ripen()
    session.place_due()
    session.push({p: ["b"]})
    session.pop(p)
    session.ack_failed(Signal(p, session.lease, dead=0))
    session.pop(p)
    session.ack_failed(Signal(p, session.lease, dead=1))
    rows = session.rows("select * from {s}.find_dead_letters(null, null, null, null, null, 10, 0)")
    assert [(row.transaction_id, row.first_id and str(row.first_id)) for row in rows] == [
        ("b", None),
        ("a", model.encode_id(model.MESSAGE, p, -1)),
    ]


def test_messages_of_an_older_epoch_move_into_the_newest(session: Session, p: int) -> None:
    session.push({p: ["a"]})
    session.schedule(p, "late")
    session.open_epoch(2)
    session.ripen()
    assert session.place_due().heads == [2]
    assert session.rows("select epoch, epoch_first_offset from {s}.partitions")[0] == (2, 1)
    assert session.pop(p)[0].transaction_ids == ["a"]
    assert session.ack(Signal(p, session.lease, completed=0))[0].released
    assert session.pop(p, epoch=2)[0].transaction_ids == ["late"]


def test_one_transaction_id_in_two_epochs_is_no_obstacle(session: Session, p: int) -> None:
    """After its window an id may be stored again; moved together, only one copy can be guarded."""
    session.schedule(p, "x")
    session.rows("update {s}.messages set once = null")  # as if push() had looked no further than its window
    session.open_epoch(2)
    session.schedule(p, "x")
    session.rows("update {s}.messages set once = true")
    session.open_epoch(3)
    session.schedule(p, "y", delay_ms=1_000_000_000)
    session.ripen()
    assert session.place_due().placed == 2
    assert _order(session, p) == ["x", "x"]
    assert session.one("select count(*) from {s}.messages where once and transaction_id = 'x'") == 1
    assert session.push_deduplicating({p: ["x"]})[0][1], "still a duplicate"


def test_a_copy_that_still_waits_in_the_newest_epoch_is_no_obstacle(session: Session, p: int) -> None:
    session.schedule(p, "x")
    session.rows("update {s}.messages set once = null")
    session.open_epoch(2)
    session.ripen()
    session.schedule(p, "x", delay_ms=1_000_000_000)
    session.rows("update {s}.messages set once = true")
    assert session.place_due().placed == 1
    assert _order(session, p) == ["x"]


def test_a_locked_partition_is_left_and_named(session: Session, another: Callable[[], Session], p: int) -> None:
    other = session.partition("other")
    session.schedule(p, "a")
    session.schedule(other, "b")
    session.ripen()
    blocker = another()
    with blocker.connection.transaction():
        blocker.rows("select 1 from {s}.partitions where partition_id = %s for no key update", p)
        placed = session.place_due()
        assert (placed.partition_ids, placed.blocked, placed.due_ms) == ([other], [p], None)
        assert session.place_due(skip=[p]).blocked == []
    assert session.place_due().partition_ids == [p]


def test_a_call_that_is_cut_off_changes_nothing(session: Session, another: Callable[[], Session], p: int) -> None:
    session.schedule(p, "a", "b")
    session.ripen()
    doomed = another()
    doomed.connection.execute("begin")
    assert doomed.place_due().placed == 2
    doomed.connection.close()
    assert _order(session, p) == []
    until(lambda: session.place_due().placed == 2, "the lost session gives its locks back")
    assert _order(session, p) == ["a", "b"]


def test_movers_and_pushes_at_once_lose_and_double_nothing(session: Session, another: Callable[[], Session]) -> None:
    numbers = session.partitions(4)
    names = [f"s{n}" for n in range(100)]
    for number in numbers:
        session.schedule(number, *names)
    session.ripen()
    done = threading.Event()

    def move(own: Session) -> None:
        while not done.is_set():
            own.place_due(limit=7)

    movers = [threading.Thread(target=move, args=(another(),)) for _ in range(2)]
    for mover in movers:
        mover.start()
    try:
        for round_ in range(40):
            session.push_deduplicating({number: [f"p{round_}"] for number in numbers})
        scheduled = "select count(*) from {s}.messages where status = 'scheduled'"
        until(lambda: session.one(scheduled) == 0, "all are placed")
    finally:
        done.set()
        for mover in movers:
            mover.join()
    for number in numbers:
        order = session.stored(number)
        assert [offset for offset, _ in order] == list(range(140))
        assert [name for _, name in order if name.startswith("s")] == names
        assert [name for _, name in order if name.startswith("p")] == [f"p{n}" for n in range(40)]
