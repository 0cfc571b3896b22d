"""The ledger against a small honest queue: nothing is wrong with it; each fault is named, and it alone."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queen.bench.ledger import Ledger
from queen.bench.records import (
    ACCEPTED,
    ACK_REFUSED,
    ACK_UNKNOWN,
    CORRUPT,
    DUPLICATE,
    FAILED,
    FOREIGN,
    REFUSED,
    UNKNOWN,
)
from queen.bench.result import LedgerReport
from tests.support.ledger_story import LEASE_NS, Story

WRONG = ("lost", "duplicated", "reordered", "early", "corrupt", "ghost", "unacked")


def told(story: Story, random: Random, *, complete: bool = True) -> LedgerReport:
    names = ["", "audit"][: story.groups]
    ledger = Ledger(names, partitions=story.keys, lease_s=LEASE_NS / 1e9, judge_early=True, workers=story.workers)
    for records in story.records(random):
        ledger.feed(records)
        if random.random() < 0.7:
            ledger.follow()
    return ledger.report(complete)


def wrong(report: LedgerReport) -> dict[str, int]:
    return {name: getattr(report, name) for name in WRONG if getattr(report, name)}


def where(report: LedgerReport) -> list[tuple[str, str, int]]:
    return [(one.kind, one.partition, one.sequence) for one in report.anomalies]


def story_of(seed: int, steps: int = 120) -> Story:
    story = Story(Random(seed))
    for _ in range(steps):
        story.happen()
    return story


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 1 << 32))
def test_an_honest_queue_has_no_anomaly(seed: int) -> None:
    story = story_of(seed)
    story.finish()
    report = told(story, Random(seed))
    assert (wrong(report), report.anomalies) == ({}, [])
    stored = sum(map(len, story.log))
    assert report.delivered == stored * story.groups
    rows = sum(row[2] == "deliveries" for row in story.rows)
    assert report.delivered + report.redelivered == rows
    assert report.sent == sum(story.next) == report.accepted + report.unknown + report.refused


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 1 << 32))
def test_the_report_does_not_depend_on_how_records_arrive(seed: int, other: int) -> None:
    story = story_of(seed)
    break_something(story)
    story.finish()
    one, two = told(story, Random(seed)), told(story, Random(other))
    assert wrong(one)
    assert sorted(where(one)) == sorted(where(two))
    assert one.groups == two.groups


def break_something(story: Story) -> None:
    FAULTS[story.random.choice(sorted(FAULTS))](story)


def fresh(story: Story, count: int = 4) -> tuple[int, int]:
    """A push that is stored on the first key, all before it delivered to the first group; its place and sequence."""
    for push in list(story.flying):
        story.answer(push, ACCEPTED)
    for group in range(story.groups):
        story.drain(group, 0)
    push = story.write(0, count)
    story.answer(push, ACCEPTED)
    return len(story.log[0]) - count, push.first


def drop(story: Story) -> list[tuple[str, str, int]]:
    _, sequence = fresh(story)
    story.pop(0, 0, 1, seen=False)
    cursor = story.cursors[0, 0]
    cursor.place, cursor.lease = cursor.span[1], 0
    return [("lost", "0", sequence)]


def swap(story: Story) -> list[tuple[str, str, int]]:
    place, sequence = fresh(story)
    for group in range(story.groups):
        story.take(group, 0, 4)
        order = [1, 0, 2, 3] if group == 0 else [0, 1, 2, 3]
        for step in order:
            story.deliver(group, 0, place + step)
        story.settle(group, 0)
    return [("reordered", "0", sequence)]


def swap_pushes(story: Story) -> list[tuple[str, str, int]]:
    place, sequence = fresh(story, 1)
    story.answer(story.write(0, 1), ACCEPTED)
    story.take(0, 0, 2)
    story.deliver(0, 0, place + 1)
    story.tick()
    story.deliver(0, 0, place, at_ns=story.now)
    story.settle(0, 0)
    return [("reordered", "0", sequence)]


def late_in_its_push(story: Story) -> list[tuple[str, str, int]]:
    place, sequence = fresh(story, 3)
    story.take(0, 0, 3)
    for step in (0, 2, 1):
        story.tick()
        story.deliver(0, 0, place + step, at_ns=story.now)
    story.settle(0, 0)
    return [("reordered", "0", sequence + 1)]


def duplicate(story: Story) -> list[tuple[str, str, int]]:
    place, sequence = fresh(story)
    story.pop(0, 0, 4)
    story.settle(0, 0)
    story.tick()
    story.deliver(0, 0, place + 2, attempt=1, lease=0, at_ns=story.now)
    return [("duplicated", "0", sequence + 2)]


def corrupt(story: Story) -> list[tuple[str, str, int]]:
    place, sequence = fresh(story, 1)
    story.take(0, 0, 1)
    story.deliver(0, 0, place, flags=CORRUPT, floor=1 << 39)
    story.settle(0, 0)
    return [("corrupt", "0", sequence)]


def ghost(story: Story) -> list[tuple[str, str, int]]:
    place, _ = fresh(story)
    story.pop(0, 0, 4)
    story.deliver(0, 0, place, sequence=70_000, first=70_000, lease=0)
    story.settle(0, 0)
    return [("ghost", "0", 70_000)]


def foreign(story: Story) -> list[tuple[str, str, int]]:
    place, sequence = fresh(story)
    story.pop(0, 0, 4)
    story.deliver(0, 0, place, flags=FOREIGN)
    story.settle(0, 0)
    return [("ghost", "0", sequence)]


def refused_and_delivered(story: Story) -> list[tuple[str, str, int]]:
    fresh(story)
    push = story.write(0, 1)
    story.answer(push, REFUSED)
    story.store(push)
    return [("ghost", "0", push.first), ("ghost", "0", push.first)]


def early(story: Story) -> list[tuple[str, str, int]]:
    _, sequence = fresh(story)
    story.pop(0, 0, 2)
    held = story.cursors[0, 0]
    before, held.place, held.lease = (held.lease, held.span, held.worker), held.span[1], 0
    story.tick()
    story.pop(0, 0, 2)
    after = (held.lease, held.span, held.worker)
    for held.lease, held.span, held.worker in (before, after):
        held.lease_end = story.now + LEASE_NS
        story.settle(0, 0)
    return [("early", "0", sequence + 2)]


FAULTS: dict[str, Callable[[Story], list[tuple[str, str, int]]]] = {
    "drop": drop,
    "swap": swap,
    "swap_pushes": swap_pushes,
    "late_in_its_push": late_in_its_push,
    "duplicate": duplicate,
    "corrupt": corrupt,
    "ghost": ghost,
    "foreign": foreign,
    "refused": refused_and_delivered,
    "early": early,
}


@pytest.mark.parametrize("fault", FAULTS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_each_fault_is_found_and_nothing_else(fault: str, seed: int) -> None:
    story = story_of(seed, 60)
    expected = FAULTS[fault](story)
    for _ in range(30):
        story.happen()
    story.finish()
    report = told(story, Random(seed + 1))
    assert where(report) == expected
    assert wrong(report) == {expected[0][0]: len(expected)}


def test_what_was_not_answered_is_neither_lost_nor_a_ghost() -> None:
    story = Story(Random(5))
    gone, came = story.write(0, 2), story.write(0, 2)
    story.answer(gone, UNKNOWN)
    story.answer(came, UNKNOWN)
    story.store(came)
    story.finish()
    report = told(story, Random(1))
    assert wrong(report) == {}
    assert (report.unknown, report.unknown_delivered) == (4, 2 * story.groups)


def test_an_interrupted_run_calls_nothing_lost_and_nobody_a_ghost() -> None:
    story = Story(Random(6))
    push = story.write(0, 3)
    story.store(push)
    story.pop(0, 0)
    other = story.write(1, 3)
    story.answer(other, ACCEPTED)
    assert wrong(told(story, Random(1), complete=False)) == {}
    assert wrong(told(story, Random(1))) == {"lost": 6, "ghost": 3}


def test_evidence_tells_when_it_was_sent_and_delivered() -> None:
    story = Story(Random(7), groups=1, keys=1, workers=1)
    duplicate(story)
    (found,) = told(story, Random(1)).anomalies
    assert "sent at 0.0000" in found.seen
    assert "accepted at 0.0000" in found.seen
    assert f"delivered at {story.now / 1e9:.6f} s, attempt 1; floor -1" not in found.seen
    assert f"delivered at {story.now / 1e9:.6f} s, attempt 1" in found.seen


def test_the_live_counts_end_at_nothing_outstanding() -> None:
    story = Story(Random(8))
    for _ in range(100):
        story.happen()
    ledger = Ledger(["", "audit"], partitions=3, lease_s=1, judge_early=True, workers=story.workers)
    story.finish()
    for records in story.records(Random(1)):
        ledger.feed(records)
    ledger.follow()
    counts = ledger.counts()
    assert counts["outstanding"] == 0
    assert counts["waiting_rows"] == 0
    assert counts["groups"]["audit"]["delivered"] == sum(map(len, story.log))


def test_nothing_is_followed_before_every_worker_was_heard() -> None:
    story = Story(Random(9), workers=2)
    story.answer(story.write(), ACCEPTED)
    ledger = Ledger(["", "audit"], partitions=3, lease_s=1, judge_early=True, workers=2)
    heard, *others = sorted(story.records(Random(0)), key=lambda records: records.worker)
    ledger.feed(heard)
    ledger.follow()
    assert ledger.counts()["sent"] == 0
    ledger.leave(1)
    for records in others:
        ledger.feed(records)
    ledger.follow()
    assert (ledger.counts()["waiting_rows"], ledger.counts()["sent"]) == (0, sum(story.next))


def test_a_duplicate_answer_is_as_good_as_an_accepted_one() -> None:
    story = Story(Random(10), groups=1)
    push = story.write(0, 2)
    story.answer(push, DUPLICATE)
    assert wrong(told(story, Random(1))) == {"lost": 2}
    story.store(push)
    story.finish()
    report = told(story, Random(1))
    assert (wrong(report), report.accepted) == ({}, 2)


def test_a_delivery_that_was_read_late_is_no_duplicate_but_a_third_one_is() -> None:
    story = Story(Random(11), groups=1, keys=1)
    place, sequence = fresh(story, 1)
    story.pop(0, 0, 1, seen=False)
    story.now += LEASE_NS
    story.pop(0, 0, 1)
    story.settle(0, 0)
    story.tick()
    story.deliver(0, 0, place, attempt=1, lease=0, at_ns=story.now)
    report = told(story, Random(1))
    assert (wrong(report), report.redelivered) == ({}, 1)
    story.tick()
    story.deliver(0, 0, place, attempt=1, lease=0, at_ns=story.now)
    assert where(told(story, Random(1))) == [("duplicated", "0", sequence)]


@pytest.mark.parametrize(("outcome", "unacked"), [(FAILED, 0), (ACK_UNKNOWN, 0), (ACK_REFUSED, 2)])
def test_what_is_settled_is_not_unacked(outcome: int, unacked: int) -> None:
    story = Story(Random(12), groups=1, keys=1)
    fresh(story, 2)
    story.pop(0, 0, 2)
    story.settle(0, 0, outcome)
    report = told(story, Random(1))
    assert (report.unacked, report.lost) == (unacked, 0)
    names = {FAILED: "failed", ACK_UNKNOWN: "ack_unknown", ACK_REFUSED: "ack_refused"}
    assert report.groups[""][names[outcome]] == 2


def test_leases_are_not_judged_with_auto_ack() -> None:
    story = Story(Random(13))
    early(story)
    ledger = Ledger(["", "audit"], partitions=3, lease_s=1, judge_early=False, workers=story.workers)
    for records in story.records(Random(1)):
        ledger.feed(records)
    report = ledger.report(False)
    assert (report.early, report.early_judged) == (0, False)


def test_a_lease_that_ran_out_is_no_conflict_and_one_before_is() -> None:
    for wait, count in ((LEASE_NS + 1000, 0), (LEASE_NS // 2, 1)):
        story = Story(Random(14), groups=1, keys=1)
        fresh(story, 2)
        story.pop(0, 0, 2)
        story.now += wait
        story.cursors[0, 0].lease_end = 0
        story.pop(0, 0, 2)
        story.settle(0, 0)
        assert told(story, Random(1)).early == count
