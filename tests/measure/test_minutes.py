"""Counts by the minute: the last hour, whatever the clock does, and two of them together."""

from __future__ import annotations

from queen.measure import minutes
from queen.measure.minutes import MINUTES_KEPT, WORDS_MAX, Minutes


class _Clock:
    now = 6_000.0

    def __call__(self) -> float:
        return self.now


def test_counts_belong_to_their_minute() -> None:
    clock = _Clock()
    counts = Minutes(clock)
    counts.count("a")
    clock.now += 59.9
    counts.count("a", 2)
    counts.count("b")
    clock.now += 0.1
    counts.count("a")
    assert counts.shown() == {6_000: {"a": 3, "b": 1}, 6_060: {"a": 1}}


def test_only_the_last_hour_is_shown_and_kept() -> None:
    clock = _Clock()
    counts = Minutes(clock)
    for _ in range(3 * MINUTES_KEPT):
        counts.count("a")
        clock.now += 60
    assert len(counts.shown()) == MINUTES_KEPT - 1, "the minute that runs has nothing yet"
    clock.now += 30 * 60
    assert len(counts.shown()) == MINUTES_KEPT - 31
    clock.now += 3_600
    assert counts.shown() == {}


def test_a_clock_that_is_set_back_keeps_the_order() -> None:
    clock = _Clock()
    counts = Minutes(clock)
    counts.count("a")
    clock.now -= 600
    counts.count("a")
    assert counts.shown() == {6_000: {"a": 2}}


def test_many_words_are_told_apart_no_more() -> None:
    counts = Minutes(_Clock())
    for number in range(WORDS_MAX + 10):
        counts.count(f"w{number}")
    (words,) = counts.shown().values()
    assert (len(words), words["other"]) == (WORDS_MAX + 1, 10)


def test_the_highest_of_a_minute() -> None:
    counts = Minutes(_Clock())
    for number in (3, 9, 4):
        counts.highest("in_use", number)
    assert counts.shown() == {6_000: {"in_use": 9}}


def test_two_are_added_minute_by_minute_and_the_latest_stay() -> None:
    one = {60 * n: {"a": 1} for n in range(MINUTES_KEPT)}
    found = minutes.add(one, {60 * MINUTES_KEPT: {"b": 2}, 60: {"a": 4, "b": 1}})
    assert len(found) == MINUTES_KEPT
    assert (found[60], found[60 * MINUTES_KEPT], 0 in found) == ({"a": 5, "b": 1}, {"b": 2}, False)
    assert one[60] == {"a": 1}, "what was given stays as it was"
