"""The ledger finds each way in which messages can go wrong, and nothing when all is well."""

from __future__ import annotations

import pytest

from benchmarks.lib.ledger import GROWTH, Ledger
from benchmarks.lib.traffic import PoppedMessage


def popped(*numbers: int, partition: str = "a", prefix: str = "run-") -> list[PoppedMessage]:
    return [PoppedMessage(f"{prefix}{number:016d}", partition, "lease") for number in numbers]


@pytest.fixture
def ledger() -> Ledger:
    """Ten messages pushed."""
    book = Ledger("run-", judge_order=True)
    book.note_pushed(book.reserve(10), 10)
    return book


def finish(book: Ledger, *numbers: int) -> None:
    book.note_acked(book.note_popped(popped(*numbers)))


def test_all_popped_and_acked_once_is_right(ledger: Ledger) -> None:
    finish(ledger, *range(10))
    verdict = ledger.verdict(complete=True)
    assert not verdict.wrong
    assert (verdict.pushed, verdict.popped, verdict.acked, ledger.outstanding) == (10, 10, 10, 0)


def test_a_message_may_be_popped_before_its_push_is_answered() -> None:
    book = Ledger("run-", judge_order=True)
    first = book.reserve(2)
    finish(book, 0, 1)
    book.note_pushed(first, 2)
    assert not book.verdict(complete=True).wrong


def test_lost_and_unacked_are_named(ledger: Ledger) -> None:
    finish(ledger, 0, 1, 2, 3, 4, 5, 6, 7)
    ledger.note_popped(popped(8))
    verdict = ledger.verdict(complete=True)
    assert (verdict.lost, verdict.unacked, verdict.wrong) == (1, 1, True)
    assert verdict.examples == ["lost: run-0000000000000009", "unacked: run-0000000000000008"]


def test_what_is_under_way_when_a_run_breaks_off_is_not_lost(ledger: Ledger) -> None:
    finish(ledger, 0, 1)
    verdict = ledger.verdict(complete=False)
    assert (verdict.lost, verdict.unacked, verdict.wrong) == (0, 0, False)


def test_a_second_delivery_is_a_duplicate_and_counts_once(ledger: Ledger) -> None:
    finish(ledger, *range(10))
    finish(ledger, 4)
    verdict = ledger.verdict(complete=True)
    assert (verdict.duplicated, verdict.reordered, verdict.popped, verdict.acked) == (1, 0, 10, 10)
    assert verdict.wrong


def test_order_is_judged_within_a_partition_only(ledger: Ledger) -> None:
    ledger.note_popped(popped(5, partition="a"))
    ledger.note_popped(popped(1, 2, partition="b"))
    assert ledger.verdict(complete=False).reordered == 0
    ledger.note_popped(popped(4, partition="a"))
    assert ledger.verdict(complete=False).reordered == 1


def test_order_is_not_judged_when_pushes_may_overtake() -> None:
    book = Ledger("run-", judge_order=False)
    book.reserve(2)
    book.note_popped(popped(1, 0))
    assert book.verdict(complete=False).reordered == 0


@pytest.mark.parametrize("strange", ["other-0000000000000001", "run-1", "run-000000000000000x", "run-0000000000000010"])
def test_what_was_never_sent_is_a_ghost(ledger: Ledger, strange: str) -> None:
    assert ledger.note_popped([PoppedMessage(strange, "a", "lease")]) == [-1]
    ledger.note_acked([-1])
    verdict = ledger.verdict(complete=False)
    assert (verdict.ghost, verdict.acked, verdict.wrong) == (1, 0, True)


def test_it_grows() -> None:
    book = Ledger("run-", judge_order=True)
    book.note_pushed(book.reserve(2 * GROWTH), 2 * GROWTH)
    assert book.verdict(complete=True).lost == 2 * GROWTH
    assert len(book.verdict(complete=True).examples) == 20
