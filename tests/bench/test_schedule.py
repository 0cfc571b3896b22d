"""Schedules: the right rate, workers that share one schedule, pushes that are due when their last message is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queen.bench import schedule
from queen.bench.workload import Workload
from queen.errors import SettingsError

Kind = Literal["poisson", "uniform"]
KINDS = st.sampled_from(["poisson", "uniform"])


def _all(rate: float, kind: Kind, **kwargs: int) -> np.ndarray:
    return np.concatenate([*schedule.times(rate, kind, seed=(7, 0), start_ns=10**15, **kwargs)])


def test_uniform_gaps_are_exact() -> None:
    times = _all(4000, "uniform", messages=20_000)
    assert (np.diff(times) == 250_000).all()
    assert times[0] == 10**15


def test_poisson_gaps_have_the_mean_and_the_spread_of_their_kind() -> None:
    gaps = np.diff(_all(10_000, "poisson", messages=200_000)) / 1e9
    assert gaps.mean() == pytest.approx(1e-4, rel=0.02)
    assert gaps.std() == pytest.approx(1e-4, rel=0.03)
    assert (gaps >= 0).all()


@settings(deadline=None, max_examples=40)
@given(KINDS, st.integers(1, 7), st.integers(1, 30_000), st.floats(1, 1e6))
def test_the_workers_shares_are_disjoint_and_together_the_whole(
    kind: Kind, workers: int, count: int, rate: float
) -> None:
    whole = _all(rate, kind, messages=count)
    assert len(whole) == count
    for worker in range(min(workers, count)):
        share = _all(rate, kind, messages=count, worker=worker, workers=workers)
        assert (share == whole[worker::workers]).all()


@settings(deadline=None, max_examples=20)
@given(KINDS, st.integers(1, 3))
def test_nothing_is_due_at_the_end_or_after_it(kind: Kind, workers: int) -> None:
    end = 10**15 + 2 * 10**9
    shares = [_all(5000, kind, worker=worker, workers=workers, end_ns=end) for worker in range(workers)]
    assert max(share.max() for share in shares) < end
    assert sum(map(len, shares)) == pytest.approx(10_000, rel=0.05)


def test_a_seed_repeats_its_schedule_and_another_does_not() -> None:
    first, again, other = (
        next(schedule.times(100, "poisson", seed=seed, start_ns=0)) for seed in ((1, 0), (1, 0), (1, 1))
    )
    assert (first == again).all()
    assert (first != other).any()


def _chunks(times: list[int], size: int) -> Iterator[schedule.Times]:
    rest = iter(times)
    while piece := list(islice(rest, size)):
        yield np.array(piece, np.int64)


TIMES = st.lists(st.integers(0, 1000), max_size=60).map(sorted)


@given(TIMES, st.integers(1, 7), st.integers(1, 9))
def test_without_linger_a_push_is_due_with_its_last_message(times: list[int], size: int, chunk: int) -> None:
    pushes = list(schedule.batches(_chunks(times, chunk), size, 0))
    assert [at for _, intended in pushes for at in intended] == times
    assert all(due == intended[-1] for due, intended in pushes)
    assert all(len(intended) == size for _, intended in pushes[:-1])


@given(TIMES, st.integers(1, 7), st.integers(1, 9), st.integers(1, 200))
def test_linger_bounds_the_wait_of_the_first_message(times: list[int], size: int, chunk: int, linger: int) -> None:
    pushes = list(schedule.batches(_chunks(times, chunk), size, linger))
    assert [at for _, intended in pushes for at in intended] == times
    for due, intended in pushes:
        assert intended[-1] <= due <= intended[0] + linger
        assert len(intended) <= size
        assert due == (intended[-1] if len(intended) == size else intended[0] + linger) or intended is pushes[-1][1]


@given(TIMES, st.lists(st.integers(0, 1100), max_size=8).map(sorted), st.integers(1, 9))
def test_due_counts_each_message_once_when_its_time_has_come(times: list[int], looks: list[int], chunk: int) -> None:
    due, counted = schedule.Due(_chunks(times, chunk)), 0
    for look in looks:
        counted += due.until(look)
        assert counted == sum(at < look for at in times)


def test_each_partition_belongs_to_one_worker() -> None:
    load = Workload(partitions=10)
    owned = [schedule.Keys(load, seed=1, worker=worker, workers=3).owned for worker in range(3)]
    assert sorted(key for keys in owned for key in keys) == list(range(10))
    assert schedule.key_count(load, 3) == 10


@pytest.mark.parametrize("load", [Workload(partitions=2), Workload(partitions=2, keys="zipf(1.1)")])
def test_workers_that_share_partitions_have_keys_of_their_own(load: Workload) -> None:
    owned = [schedule.Keys(load, seed=1, worker=worker, workers=3).owned for worker in range(3)]
    assert owned == [[0, 1], [2, 3], [4, 5]]
    assert schedule.key_count(load, 3) == 6


def test_zipf_prefers_the_first_key_as_its_exponent_says() -> None:
    keys = schedule.Keys(Workload(partitions=100, keys="zipf(1.1)"), seed=3, worker=0, workers=1)
    counts = np.bincount([keys.draw() for _ in range(50_000)], minlength=100)
    shares = 1 / np.arange(1, 101) ** 1.1
    assert counts[0] / 50_000 == pytest.approx(shares[0] / shares.sum(), rel=0.05)
    assert counts[0] / counts[1] == pytest.approx(2**1.1, rel=0.1)


@pytest.mark.parametrize("text", ["zipf", "zipf(0)", "zipf(x)", "normal"])
def test_an_unknown_distribution_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="distribution"):
        schedule.zipf_exponent(text)
