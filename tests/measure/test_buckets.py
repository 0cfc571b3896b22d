"""Buckets that double in width: where a number falls, percentiles, merging, differences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen.measure.buckets import BUCKETS, Buckets, FineBuckets, of_cells


def filled(*numbers: int) -> Buckets:
    buckets = Buckets()
    for number in numbers:
        buckets.record(number)
    return buckets


@pytest.mark.parametrize(("number", "place"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1023, 10), (1024, 11)])
def test_a_number_falls_into_the_bucket_of_its_power_of_two(number: int, place: int) -> None:
    assert filled(number).counts[place] == 1
    assert number <= Buckets.upper_bound(place)
    assert place == 0 or number > Buckets.upper_bound(place - 1)


def test_what_is_too_large_falls_into_the_last_bucket() -> None:
    buckets = filled(1 << 60)
    assert (buckets.counts[-1], buckets.sum, buckets.count) == (1, 1 << 60, 1)


def test_nothing_recorded_has_no_percentile_and_no_mean() -> None:
    assert (Buckets().percentile(50), Buckets().mean(), Buckets().count) == (None, None, 0)


@given(st.lists(st.integers(0, 1 << 26), min_size=1), st.integers(1, 100))
def test_a_percentile_is_within_the_bucket_of_the_exact_one(numbers: list[int], percent: int) -> None:
    exact = sorted(numbers)[max(0, -(-len(numbers) * percent // 100) - 1)]
    place = exact.bit_length()
    found = filled(*numbers).percentile(percent)
    assert found is not None
    assert (Buckets.upper_bound(place - 1) if place else 0) <= found <= Buckets.upper_bound(place)


@given(st.lists(st.integers(0, 1 << 40)), st.lists(st.integers(0, 1 << 40)))
def test_adding_and_taking_away(one: list[int], other: list[int]) -> None:
    both, first = filled(*one, *other), filled(*one)
    assert first.plus(filled(*other)).counts == both.counts
    assert both.minus(first).counts == filled(*other).counts
    assert both.minus(first).sum == sum(other)


def test_a_wrong_number_of_counts_is_refused() -> None:
    with pytest.raises(ValueError, match=f"instead of {BUCKETS}"):
        Buckets([1, 2, 3])


def fine(*numbers: int) -> FineBuckets:
    buckets = FineBuckets()
    for number in numbers:
        buckets.record(number)
    return buckets


@given(st.integers(0, (1 << 27) - 1))
def test_a_fine_bucket_holds_what_no_smaller_one_does(number: int) -> None:
    place = fine(number).counts.index(1)
    assert number <= FineBuckets.upper_bound(place)
    assert place == 0 or number > FineBuckets.upper_bound(place - 1)
    assert FineBuckets.upper_bound(place) <= number * 17 / 16


def test_what_is_too_large_falls_into_the_last_fine_bucket() -> None:
    assert fine(1 << 60).counts[-1] == 1


@given(st.lists(st.integers(0, 1 << 30)))
def test_coarse_buckets_count_the_same(numbers: list[int]) -> None:
    assert fine(*numbers).coarse().counts == filled(*numbers).counts
    assert fine(*numbers).coarse().sum == sum(numbers)


@pytest.mark.parametrize("buckets", [filled(1, 5, 900), fine(1, 5, 900)])
def test_cells_tell_their_kind(buckets: Buckets) -> None:
    back = of_cells([*buckets.counts, buckets.sum])
    assert (type(back), back.counts, back.sum) == (type(buckets), buckets.counts, buckets.sum)
