"""ack_failed(): the retry budget, dead letters, and which signal rules."""

from __future__ import annotations

import uuid

import pytest

from tests.sql.client import Row, Session, Signal


@pytest.fixture
def p(session: Session) -> int:
    """A partition with messages m0 … m9, of which group g has leased m0 … m4."""
    number = session.partition()
    session.push({number: [f"m{n}" for n in range(10)]})
    session.open_cursors([number])
    session.pop(number, batch=5)
    return number


def _fail(session: Session, p: int, **signal: int | str) -> Row:
    rows = session.ack_failed(Signal(p, session.lease, **signal))  # type: ignore[arg-type]
    assert len(rows) == 1
    return rows[0]


def test_failed_releases_charges_once_and_gives_back(session: Session, p: int) -> None:
    row = _fail(session, p, completed=1, failed=2)
    assert (row.acked_was, row.acked, row.released, row.dead_letter_id, row.dead_offset) == (-1, 1, True, None, None)
    cursor = session.cursor(p)
    assert (cursor.retries, cursor.lease_id, cursor.lease_until) == (1, None, None)
    assert session.pop(p)[0].first_offset == 2


def test_completed_ones_above_the_failure_are_not_kept(session: Session, p: int) -> None:
    assert _fail(session, p, completed=4, failed=2).acked == 1
    assert session.pop(p)[0].transaction_ids[0] == "m2"


def test_a_retry_limit_of_three_delivers_four_times_and_then_buries(session: Session, p: int) -> None:
    attempts = [1]
    for _ in range(3):
        assert _fail(session, p, failed=0, error="broken").dead_letter_id is None
        attempts.append(session.pop(p, batch=5)[0].attempt)
    assert attempts == [1, 2, 3, 4]
    row = _fail(session, p, failed=0, error="broken at last")
    assert (row.acked, row.dead_offset, row.released) == (0, 0, True)
    letter = session.rows("select * from {s}.dead_letters")
    assert [
        (one.dead_letter_id, one.offset, one.transaction_id, one.payload, one.error, one.retries, one.consumer_group)
        for one in letter
    ] == [(row.dead_letter_id, 0, "m0", '"m0"', "broken at last", 3, "g")]
    assert session.cursor(p).retries == 0
    assert session.pop(p)[0].first_offset == 1


def test_dlq_buries_at_once(session: Session, p: int) -> None:
    row = _fail(session, p, dead=2, error="poison")
    assert (row.acked, row.dead_offset) == (2, 2), "what nobody mentioned below it is completed with it"
    assert session.one("select error from {s}.dead_letters") == "poison"
    assert session.pop(p)[0].first_offset == 3


def test_a_dead_letter_without_words_says_retries_exhausted(session: Session, p: int) -> None:
    _fail(session, p, dead=0)
    assert session.one("select error from {s}.dead_letters") == "Retries exhausted"


@pytest.mark.parametrize(
    ("signals", "acked", "buried", "retries"),
    [
        ({"retried": 1, "failed": 1, "dead": 1}, 1, True, 0),
        ({"retried": 1, "failed": 1}, -1, False, 1),
        ({"retried": 1, "failed": 2}, -1, False, 0),
        ({"retried": 1, "failed": 2, "dead": 3}, -1, False, 0),
        ({"failed": 1, "dead": 3}, -1, False, 1),
        ({"failed": 3, "dead": 1}, 1, True, 0),
        ({"completed": 4, "retried": 2, "failed": 3}, 1, False, 0),
        ({"completed": 4, "failed": 0}, -1, False, 1),
        ({"completed": 3, "failed": 4}, 3, False, 1),
        ({"completed": 4, "dead": 2}, 2, True, 0),
    ],
)
def test_the_lowest_signal_rules_and_dlq_beats_failed_beats_retry(
    session: Session, p: int, signals: dict[str, int], acked: int, buried: bool, retries: int
) -> None:
    row = _fail(session, p, **signals)
    assert (row.acked, row.dead_letter_id is not None, session.cursor(p).retries) == (acked, buried, retries)
    assert row.released
    assert session.pop(p)[0].first_offset == acked + 1


def test_a_retry_limit_of_zero_buries_the_first_failure(session: Session, p: int) -> None:
    session.configure("q", retryLimit=0)
    assert _fail(session, p, failed=1).dead_offset == 1


@pytest.mark.parametrize("options", [{"deadLetterQueue": False}, {"dlqAfterMaxRetries": False}])
def test_one_switch_alone_does_not_turn_dead_letters_off(session: Session, p: int, options: dict[str, bool]) -> None:
    session.configure("q", **options)
    assert _fail(session, p, dead=1).dead_letter_id is not None


def test_with_both_switches_off_the_message_is_dropped(session: Session, p: int) -> None:
    session.configure("q", deadLetterQueue=False, dlqAfterMaxRetries=False)
    row = _fail(session, p, dead=1)
    assert (row.acked, row.dead_offset, row.dead_letter_id) == (1, 1, None)
    assert session.one("select count(*) from {s}.dead_letters") == 0


def test_a_retry_delay_counts_only_when_it_was_set(session: Session, p: int) -> None:
    assert _fail(session, p, failed=0).held_ms is None
    session.configure("q", retryDelay=30_000)
    session.pop(p)
    assert _fail(session, p, failed=0).held_ms == 30_000
    assert session.pop(p) == []
    held = session.examine(p)
    assert held.lease_id is None
    assert 0 < held.held_ms <= 30_000


def test_a_retry_is_not_delayed(session: Session, p: int) -> None:
    session.configure("q", retryDelay=30_000)
    _fail(session, p, retried=0, failed=3)
    assert session.pop(p)[0].attempt == 2


def test_stale_and_unknown_entries_have_no_row_and_change_nothing(session: Session, p: int) -> None:
    before = session.cursor(p)
    assert session.ack_failed(Signal(p, uuid.uuid4(), failed=0)) == []
    assert session.ack_failed(Signal(p, session.lease, group="h", failed=0)) == []
    assert session.ack_failed(Signal(p + 1000, session.lease, failed=0)) == []
    assert session.cursor(p) == before
    session.expire(p)
    assert session.ack_failed(Signal(p, session.lease, dead=0)) == []
    assert session.one("select count(*) from {s}.dead_letters") == 0


def test_a_failure_behind_the_cursor_changes_nothing(session: Session, p: int) -> None:
    session.ack(Signal(p, session.lease, completed=2))
    before = session.cursor(p)
    assert session.ack_failed(Signal(p, session.lease, failed=1)) == []
    assert session.ack_failed(Signal(p, session.lease, failed=1, dead=4)) == []
    assert session.cursor(p) == before


def test_without_a_lease_id_a_failure_counts_too(session: Session, p: int) -> None:
    session.expire(p)
    assert session.ack_failed(Signal(p, None, failed=0))[0].released
    assert session.cursor(p).retries == 1


def test_one_bad_entry_does_not_hurt_the_others(session: Session) -> None:
    ids = session.partitions(3)
    session.push({number: ["a", "b"] for number in ids})
    session.open_cursors(ids)
    leases = []
    for number in ids:
        session.pop(number)
        leases.append(session.lease)
    rows = session.ack_failed(
        Signal(ids[0], leases[0], failed=0), Signal(ids[1], uuid.uuid4(), dead=0), Signal(ids[2], leases[2], dead=1)
    )
    assert [(row.place, row.acked, row.dead_offset) for row in rows] == [(1, -1, None), (3, 1, 1)]
    assert session.cursor(ids[1]).live


def test_a_message_that_is_no_longer_kept_leaves_no_letter(session: Session, p: int) -> None:
    session.rows('delete from {s}.messages where "offset" = 1')
    row = _fail(session, p, dead=1)
    assert (row.acked, row.dead_offset, row.dead_letter_id) == (1, 1, None)


def test_the_counter_belongs_to_the_group(session: Session, p: int) -> None:
    _fail(session, p, failed=0)
    session.open_cursors([p], "h")
    session.pop(p, group="h")
    session.ack_failed(Signal(p, session.lease, group="h", failed=0))
    assert (session.cursor(p).retries, session.cursor(p, "h").retries) == (1, 1)
