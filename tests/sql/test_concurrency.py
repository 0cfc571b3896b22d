"""Many sessions at once on few partitions: order, no loss, exact deduplication, one lease, no deadlock."""

from __future__ import annotations

import os
import secrets
import time
from collections import defaultdict

import pytest

from tests.sql.client import Session, Signal
from tests.sql.crowd import GROUPS, Consumer, Member, Notes, Producer, Reaper, by_cursor

SECONDS = 5.0


@pytest.mark.parametrize("epochs", [False, True], ids=["one epoch", "epochs open meanwhile"])
def test_a_crowd_keeps_every_promise(database_dsn: str, epochs: bool) -> None:
    seed = os.environ.get("TEST_SEED", secrets.token_hex(4))
    print(f"TEST_SEED={seed}")
    with Session(database_dsn) as session:
        session.configure("q", retryLimit=2)
        partitions = session.partitions(5)
        for group in GROUPS:
            session.open_cursors(partitions, group)
        notes = _run_crowd(database_dsn, partitions, seed, epochs)
        assert notes.wrong == []
        print(f"answers {len(notes.stored)}, spans {len(notes.delivered)}, moves {len(notes.moved)}")
        assert any(duplicate for *_, duplicate in notes.stored)
        assert len(notes.moved) > 0
        assert session.one("select max(epoch) from {s}.epochs") == (4 if epochs else 1)
        _check_stored(session, partitions, notes)
        _drain(session, partitions, notes)
        _check_delivered(session, notes)
        _check_moves(session, partitions, notes)


def _run_crowd(dsn: str, partitions: list[int], seed: str, epochs: bool) -> Notes:
    notes = Notes()
    ends_at = time.monotonic() + SECONDS
    kinds: list[type[Member]] = [Producer] * 4 + [Consumer] * 5 + [Reaper]
    crowd = [
        kind(dsn, f"{seed} {kind.__name__} {number}", partitions, notes, ends_at) for number, kind in enumerate(kinds)
    ]
    for member in crowd:
        if isinstance(member, Reaper):
            member.opens_at = tuple(ends_at - SECONDS * part for part in (0.8, 0.5, 0.2)) if epochs else ()
        member.start()
    for member in crowd:
        member.join(120)
        assert not member.is_alive(), f"{member.name} is stuck"
    return notes


def _check_stored(session: Session, partitions: list[int], notes: Notes) -> None:
    """Dense offsets, one row per transaction id, times in order, and every answer names the row that is there."""
    places: dict[tuple[int, str], int] = {}
    for number in partitions:
        rows = session.rows(
            'select "offset", transaction_id, created_at, epoch from {s}.messages where partition_id = %s order by 1',
            number,
        )
        assert [row.offset for row in rows] == list(range(len(rows)))
        assert session.one("select next_offset from {s}.partitions where partition_id = %s", number) == len(rows)
        for name in ("created_at", "epoch"):
            values = [getattr(row, name) for row in rows]
            assert values == sorted(values), name
        for row in rows:
            assert (number, row.transaction_id) not in places, "stored twice"
            places[number, row.transaction_id] = row.offset
    first: defaultdict[tuple[int, str], int] = defaultdict(int)
    for number, transaction_id, offset, duplicate in notes.stored:
        assert places[number, transaction_id] == offset
        first[number, transaction_id] += not duplicate
    assert set(first) == set(places), "what was stored was answered"
    assert set(first.values()) == {1}, "exactly one push of an id was told that it is new"


def _drain(session: Session, partitions: list[int], notes: Notes) -> None:
    """Takes in order what the crowd has left."""
    for group in GROUPS:
        for number in partitions:
            session.expire(number, group)
            while (standing := session.examine(number, group)).acked + 1 < standing.head:
                rows = session.pop(number, group=group, batch=1000, epoch=standing.epoch)
                if not rows:
                    session.next_epoch(number, group=group)
                    assert session.examine(number, group).epoch > standing.epoch
                    continue
                notes.delivered.append((number, group, rows[0]))
                end = session.cursor(number, group).lease_end
                (row,) = session.ack(Signal(number, session.lease, group, completed=end))
                notes.moved.append((number, group, row.acked_was, row.acked))


def _check_delivered(session: Session, notes: Notes) -> None:
    """Each span is a piece of the order, without a hole and with the right messages."""
    order = {
        (row.partition_id, row.offset): row.transaction_id
        for row in session.rows('select partition_id, "offset", transaction_id from {s}.messages')
    }
    for number, _, row in notes.delivered:
        assert row.offsets is None
        expected = [order[number, row.first_offset + n] for n in range(len(row.transaction_ids))]
        assert row.transaction_ids == expected


def _check_moves(session: Session, partitions: list[int], notes: Notes) -> None:
    """Each place was finished exactly once: the moves of a cursor follow one another from the start to the end."""
    heads = dict(session.rows("select partition_id, next_offset from {s}.partitions"))
    moves = by_cursor(notes.moved)
    for number in partitions:
        for group in GROUPS:
            at = -1
            for before, after in moves.get((number, group), []):
                assert before == at, f"partition {number}, group {group}: from {at} to {before}"
                at = after
            assert at == heads[number] - 1
            assert session.cursor(number, group).acked == at
    letters = session.rows('select partition_id, consumer_group, "offset" from {s}.dead_letters')
    assert sorted(map(tuple, letters)) == sorted(notes.buried)
