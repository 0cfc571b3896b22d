"""open_epoch() and next_epoch(): messages in several children, read and deduplicated as one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import psycopg
import pytest

from tests.sql.client import Row, Session, Signal
from tests.sql.waiting import until_blocked


def _where(session: Session, p: int) -> list[tuple[int, str, int]]:
    """(offset, transaction id, epoch) of each message."""
    rows = session.rows(
        'select "offset", transaction_id, epoch from {s}.messages where partition_id = %s order by 1', p
    )
    return [tuple(row) for row in rows]


def _pop_on(session: Session, p: int, batch: int = 10, group: str = "g") -> Row | None:
    """One pop as an engine does it: where the cursor stands, and on to the next epoch where that is empty."""
    for _ in range(10):
        standing = session.examine(p, group)
        rows = session.pop(p, batch=batch, epoch=standing.epoch, group=group)
        if rows or standing.acked + 1 >= standing.head:
            return rows[0] if rows else None
        session.next_epoch(p, group=group)
    raise AssertionError("the cursor does not get on")


def _drain(session: Session, p: int, batch: int = 10) -> list[str]:
    """All that is left for group g, each span acked."""
    found: list[str] = []
    while (row := _pop_on(session, p, batch)) is not None:
        found += row.transaction_ids
        assert session.ack(Signal(p, session.lease, completed=session.cursor(p).lease_end))[0].released
    return found


@pytest.fixture
def p(session: Session) -> int:
    """A partition with three messages in each of the epochs 1, 2 and 3."""
    number = session.partition()
    session.push({number: ["a0", "a1", "a2"]})
    session.open_epoch(2)
    session.push({number: ["b0", "b1", "b2"]})
    session.open_epoch(3)
    session.push({number: ["c0", "c1", "c2"]})
    session.open_cursors([number])
    return number


EVERYTHING = ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"]


def test_a_push_goes_to_the_newest_epoch_and_the_offsets_go_on(session: Session, p: int) -> None:
    assert _where(session, p) == [(n, name, n // 3 + 1) for n, name in enumerate(EVERYTHING)]
    row = session.rows("select epoch, epoch_first_offset, next_offset from {s}.partitions")[0]
    assert tuple(row) == (3, 6, 9)


@pytest.mark.parametrize("batch", [1, 2, 3, 10])
def test_a_cold_cursor_reads_all_epochs_in_order(session: Session, p: int, batch: int) -> None:
    assert _drain(session, p, batch) == EVERYTHING


def test_a_warm_cursor_goes_over_the_border_without_a_walk(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a"]})
    session.open_cursors([p])
    assert session.pop(p, auto=True)[0].transaction_ids == ["a"]
    session.open_epoch(2)
    session.push({p: ["b"]})
    assert session.examine(p).epoch == 2
    assert session.pop(p, epoch=1) == []
    assert session.pop(p, epoch=2)[0].transaction_ids == ["b"]


def test_a_pop_on_both_sides_of_a_border_gives_the_older_side_first(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a0", "a1"]})
    session.open_cursors([p])
    session.open_epoch(2)
    session.push({p: ["b0"]})
    assert session.pop(p, epoch=2) == [], "what is older comes first"
    assert session.pop(p, epoch=1)[0].transaction_ids == ["a0", "a1"]
    assert session.cursor(p).lease_end == 1


def test_an_epoch_without_messages_of_a_partition_is_passed(session: Session) -> None:
    p, q = session.partitions(2)
    session.push({p: ["a"]})
    session.open_epoch(2)
    session.push({q: ["elsewhere"]})
    session.open_epoch(3)
    session.push({p: ["c"]})
    session.open_cursors([p])
    assert _drain(session, p) == ["a", "c"]


def test_next_epoch_called_too_often_skips_nothing(session: Session, p: int) -> None:
    session.next_epoch(p)
    assert session.examine(p).epoch == 1, "its next message lies here"
    first = _pop_on(session, p)
    assert first is not None
    assert first.transaction_ids == ["a0", "a1", "a2"]
    session.ack(Signal(p, session.lease, completed=2))
    # As two servers do that found nothing in epoch 1 at the same time.
    session.next_epoch(p)
    session.next_epoch(p)
    assert session.examine(p).epoch == 2
    assert _drain(session, p) == EVERYTHING[3:]


def test_next_epoch_does_not_move_a_cursor_that_has_read_all(session: Session, p: int) -> None:
    _drain(session, p)
    before = session.cursor(p).acked
    session.next_epoch(p)
    session.push({p: ["c3"]})
    assert session.cursor(p).acked == before
    assert _drain(session, p) == ["c3"]


def test_a_group_that_starts_later_looks_in_the_right_epoch(session: Session, p: int) -> None:
    queue_id = session.one("select queue_id from {s}.queues")
    middle = session.one("select created_at from {s}.messages where transaction_id = 'b1'")
    session.call("subscribe", ("integer", "text", "text", "timestamptz"), queue_id, "late", "timestamp", middle)
    session.open_cursors([p], "late")
    row = _pop_on(session, p, group="late")
    assert row is not None
    assert row.transaction_ids[0] in ("b0", "b1"), "b0 only when its time is the same"
    assert row.transaction_ids[-1] == "b2"


@pytest.mark.parametrize("transaction_id", ["a1", "b1", "c1"])
def test_a_duplicate_of_an_older_epoch_is_found(session: Session, p: int, transaction_id: str) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.push({p: ["new", transaction_id]})
    assert len(session.stored(p)) == 9
    offset = EVERYTHING.index(transaction_id)
    assert session.push_deduplicating({p: ["new", transaction_id]}) == [(9, False), (offset, True)]


def test_fresh_ids_are_stored_with_several_epochs_alive(session: Session, p: int) -> None:
    q = session.partition("other")
    assert session.push({p: ["d0", "d1"], q: ["a0", "b0", "c0"]}) == [9, 0]
    assert session.stored(q) == [(0, "a0"), (1, "b0"), (2, "c0")]


def test_a_queue_without_deduplication_stores_ids_of_older_epochs_again(session: Session, p: int) -> None:
    session.configure("q", dedupWindowSeconds=0)
    assert session.push({p: ["a0", "b0", "c0"]}) == [9]


def test_an_epoch_that_ended_before_the_window_is_not_searched(session: Session, p: int) -> None:
    session.rows("update {s}.epochs set recorded_at = now() - interval '10 days' where epoch = 1")
    session.rows("update {s}.epochs set recorded_at = now() - interval '5 days' where epoch = 2")
    session.configure("q", dedupWindowSeconds=3600)
    # The window is an hour.
    assert session.push({p: ["a0"]}) == [9]
    session.configure("q", dedupWindowSeconds=6 * 86_400)
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.push({p: ["b0"]})
    assert session.push({p: ["a1"]}) == [10], "epoch 1 ended ten days ago"


def test_locate_and_dead_letters_reach_into_older_epochs(session: Session, p: int) -> None:
    assert session.locate((p, "b1", -1, 8), (p, "a0", 3, 8), (p, "c2", 3, 8)) == [4, 0, 8]
    row = _pop_on(session, p)
    assert row is not None
    session.ack_failed(Signal(p, session.lease, dead=1))
    assert session.rows("select transaction_id from {s}.dead_letters")[0][0] == "a1"


def test_a_push_that_began_before_the_new_epoch_is_never_behind_the_partition(
    session: Session, another: Callable[[], Session]
) -> None:
    p = session.partition()
    opener, early = another(), another()
    answers: list[list[tuple[int | None, bool]]] = []
    thread = threading.Thread(target=lambda: answers.append(early.push_deduplicating({p: ["waits", "twice"]})))
    session.push({p: ["twice"]})
    with session.connection.transaction():
        session.push({p: ["first"]})
        thread.start()
        until_blocked(opener, early)
        opener.open_epoch(2)
    thread.join(60)
    assert answers == [[(2, False), (0, True)]]
    session.push({p: ["last"]})
    epochs = [epoch for _, _, epoch in _where(session, p)]
    assert epochs == sorted(epochs)
    assert [name for _, name, _ in _where(session, p)] == ["twice", "first", "waits", "last"]
    session.open_cursors([p])
    assert _drain(session, p) == ["twice", "first", "waits", "last"]


def test_an_epoch_opens_while_pushes_are_under_way(session: Session, another: Callable[[], Session]) -> None:
    p, q = session.partitions(2)
    other = another()
    session.rows("set statement_timeout = '60s'")
    with other.connection.transaction():
        other.push({p: ["before"]})
        session.open_epoch(2)
        assert session.push({q: ["after"]}) == [0]
    assert _where(session, p) == [(0, "before", 1)]
    assert _where(session, q) == [(0, "after", 2)]
    assert other.push({p: ["later"]}) == [1]
    assert _where(session, p)[-1] == (1, "later", 2)


def test_opening_an_epoch_again_only_renews_its_function(session: Session, p: int) -> None:
    before = session.rows("select epoch, opened_at from {s}.epochs order by 1")
    session.open_epoch(2)
    assert session.rows("select epoch, opened_at from {s}.epochs order by 1") == before
    assert _drain(session, p) == EVERYTHING


def test_every_child_has_the_indexes_of_the_parent(session: Session, p: int) -> None:
    def indexed(table: str) -> list[tuple[object, ...]]:
        rows = session.rows(
            "select i.indisunique, i.indisprimary, i.indkey::text, pg_get_expr(i.indpred, i.indrelid)"
            " from pg_index i where i.indrelid = %s::regclass order by 3",
            f"{session.schema}.{table}",
        )
        return [tuple(row) for row in rows]

    for child in ("messages_1", "messages_2", "messages_3"):
        assert indexed(child) == indexed("messages")
    assert len(indexed("messages")) == 4


def test_messages_is_one_relation_to_sql(session: Session, p: int) -> None:
    assert session.one("select count(*) from {s}.messages") == 9
    times = [row[0] for row in session.rows('select created_at from {s}.messages order by "offset"')]
    assert all(one <= two for one, two in pairwise(times))
