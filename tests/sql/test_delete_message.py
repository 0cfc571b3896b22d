"""delete_message() and skip_gaps(): what a deleted message leaves behind, and that nobody waits for it."""

from __future__ import annotations

import pytest

from tests.sql import upkeep
from tests.sql.client import Session, Signal

COUNT = 6


@pytest.fixture
def p(session: Session) -> int:
    """A partition with messages m0 … m5, and a cursor of group g before them."""
    number = session.partition()
    session.push({number: [f"m{n}" for n in range(COUNT)]})
    session.open_cursors([number])
    return number


def delete(session: Session, partition: int, name: str) -> str | None:
    found = session.call("delete_message", ("bigint", "text", "integer"), partition, name, 1000)[0][0]
    return None if found is None else str(found)


def skip(session: Session, partition: int, group: str = "g") -> int:
    return int(session.call("skip_gaps", ("bigint[]", "text[]"), [partition], [group])[0][0])


def names(session: Session, partition: int, **more: int) -> list[str]:
    rows = session.pop(partition, **more)  # type: ignore[arg-type]
    return list(rows[0].transaction_ids) if rows else []


@pytest.mark.parametrize("gone", [(0,), (5,), (2,), (0, 1), (4, 5), (5, 4), (1, 3, 5), (0, 2, 4), tuple(range(5))])
def test_a_pop_spans_what_is_left(session: Session, p: int, gone: tuple[int, ...]) -> None:
    for number in gone:
        assert delete(session, p, f"m{number}") == "message"
    left = [number for number in range(COUNT) if number not in gone]
    row = session.pop(p)[0]
    assert list(row.transaction_ids) == [f"m{number}" for number in left]
    assert row.offsets is None or list(row.offsets) == left
    assert session.ack(Signal(p, session.lease, completed=left[-1]))[0].released
    skip(session, p)
    assert session.cursor(p).acked == COUNT - 1
    session.push({p: ["next"]})
    assert names(session, p) == ["next"]


def test_an_unknown_message_deletes_nothing(session: Session, p: int) -> None:
    assert delete(session, p, "x") is None
    assert delete(session, p + 1, "m1") is None
    assert len(session.stored(p)) == COUNT


def test_the_transaction_id_may_be_used_again(session: Session, p: int) -> None:
    delete(session, p, "m2")
    assert session.push_deduplicating({p: ["m2", "m3"]}) == [(6, False), (3, True)]


def test_a_cursor_before_it_moves_on_at_once(session: Session, p: int) -> None:
    session.pop(p, batch=2)
    session.ack(Signal(p, session.lease, completed=1))
    delete(session, p, "m3")
    assert session.cursor(p).acked == 1
    delete(session, p, "m2")
    assert session.cursor(p).acked == 3


def test_the_last_one_leaves_nothing_to_wait_for(session: Session, p: int) -> None:
    session.pop(p, batch=5)
    session.ack(Signal(p, session.lease, completed=4))
    delete(session, p, "m5")
    assert session.cursor(p).acked == 5


def test_an_emptied_partition_holds_nothing(session: Session, p: int) -> None:
    for number in range(COUNT):
        delete(session, p, f"m{number}")
    row = session.rows("select first_offset, next_offset from {s}.partitions where partition_id = %s", p)[0]
    assert (row.first_offset, row.next_offset) == (COUNT, COUNT)
    assert session.pop(p) == []


def test_a_lease_that_ends_at_it_ends_before_it(session: Session, p: int) -> None:
    session.pop(p, batch=3)
    delete(session, p, "m2")
    assert session.ack(Signal(p, session.lease, completed=1))[0].released


def test_its_holder_may_acknowledge_it(session: Session, p: int) -> None:
    session.pop(p, batch=3)
    delete(session, p, "m2")
    assert session.ack(Signal(p, session.lease, completed=2))[0].released
    assert session.cursor(p).acked == 2


def test_a_lease_on_nothing_is_over_with_its_ack(session: Session, p: int) -> None:
    session.pop(p, batch=1)
    delete(session, p, "m0")
    assert session.cursor(p).acked == 0
    assert session.cursor(p).live
    assert session.ack(Signal(p, session.lease, completed=0))[0].released


def test_a_gap_at_the_end_of_an_expired_lease_is_skipped(session: Session, p: int) -> None:
    session.pop(p)
    delete(session, p, "m5")
    assert skip(session, p) == 0, "it is leased"
    session.ack(Signal(p, session.lease, completed=3))
    session.expire(p)
    delete(session, p, "m4")
    assert session.cursor(p).acked == 5
    assert skip(session, p) == 0


def test_skipping_moves_nothing_where_there_is_no_gap(session: Session, p: int) -> None:
    assert skip(session, p) == 0
    assert session.cursor(p).acked == -1


def test_dead_letters_go_first(session: Session, p: int) -> None:
    session.pop(p)
    session.ack_failed(Signal(p, session.lease, dead=2, error="poison"))
    assert delete(session, p, "m2") == "dead_letters"
    assert session.one("select count(*) from {s}.dead_letters") == 0
    assert (2, "m2") in session.stored(p)
    assert delete(session, p, "m2") == "message"
    assert delete(session, p, "m2") is None


def test_a_scheduled_message_is_cancelled(session: Session, p: int) -> None:
    session.schedule(p, "later")
    assert delete(session, p, "later") == "message"
    session.ripen()
    assert session.place_due().placed == 0


def test_in_a_recorded_child_what_is_written_down_stays_true(session: Session, p: int) -> None:
    upkeep.close(session)
    session.push({p: ["n6"]})
    delete(session, p, "m5")
    span = session.rows("select * from {s}.spans where partition_id = %s", p)[0]
    assert (span.first_offset, span.last_offset) == (0, 4)
    session.pop(p)
    session.ack(Signal(p, session.lease, completed=4))
    session.next_epoch(p)
    assert names(session, p, epoch=2) == ["n6"]


def test_a_child_that_was_emptied_by_deletes_is_passed(session: Session, p: int) -> None:
    upkeep.close(session)
    session.push({p: ["n6"]})
    for number in range(COUNT):
        delete(session, p, f"m{number}")
    assert session.rows("select * from {s}.spans where partition_id = %s", p) == []
    session.next_epoch(p)
    assert names(session, p, epoch=2) == ["n6"]


def test_a_message_that_is_copied_already_does_not_come_back(session: Session, p: int) -> None:
    upkeep.close(session)
    session.call("copy_needed", ("integer", "integer", "integer"), 1, 3, upkeep.LOCK_MS)
    delete(session, p, "m1")
    upkeep.copy(session, 1)
    assert upkeep.step(session, "swap_epoch", 1)
    assert [name for _, name in session.stored(p)] == ["m0", "m2", "m3", "m4", "m5"]


def test_hidden_messages_are_not_found(session: Session, p: int) -> None:
    session.call("hide", ("bigint[]", "bigint[]"), [p], [3])
    assert delete(session, p, "m2") is None
    assert delete(session, p, "m3") == "message"
    assert upkeep.first_offset(session, p) == 4
