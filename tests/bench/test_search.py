"""The search for the highest rate, against simulated systems of a known capacity."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from queen.bench.result import Result, Step, Word
from queen.bench.search import CONFIRMATIONS_MAX, STEPS_MAX, Found, Search, backlog_grows, search
from tests.support.bench_runs import run


def searched(capacity: float, start: float, *, noise: float = 0, full: float = 1, seed: int = 1) -> Search:
    """A system that holds up to its capacity, give or take; at full length up to `full` of it."""
    random = np.random.default_rng(seed)
    seeking = Search(start)
    for _ in range(STEPS_MAX + 2 * CONFIRMATIONS_MAX):
        trial = seeking.next()
        if trial is None:
            return seeking
        limit = capacity * (full if trial.seconds is None else 1) * (1 + noise * random.standard_normal())
        seeking.tell(trial.rate <= limit)
    raise AssertionError("the search does not end")


@pytest.mark.parametrize("capacity", [37, 950, 12_345, 480_000])
@pytest.mark.parametrize("start", [10, 1_000, 10_000, 100_000])
def test_it_finds_the_capacity_from_anywhere(capacity: float, start: float) -> None:
    seeking = searched(capacity, start)
    assert seeking.found is not None
    assert capacity / 1.035 <= seeking.found <= capacity


@pytest.mark.parametrize("seed", range(25))
def test_it_finds_a_capacity_that_scatters(seed: int) -> None:
    seeking = searched(12_000, 1_000, noise=0.01, seed=seed)
    assert seeking.found is not None
    assert abs(seeking.found / 12_000 - 1) <= 0.05


def test_what_a_short_step_promised_is_taken_back_by_full_runs() -> None:
    seeking = searched(10_000, 1_000, full=0.9)
    assert seeking.found is not None
    assert 0.9 * 10_000 / 1.05 <= seeking.found <= 0.9 * 10_000


def test_it_ends_without_a_rate() -> None:
    assert searched(0.5, 1_000).why == "no rate held, down to 1 msg/s"
    assert searched(10_000, 1_000, full=0.3).found is None
    assert "runs of full length failed" in searched(10_000, 1_000, full=0.3).why


def test_the_bounds_are_kept() -> None:
    seeking = Search(1_000, rate_max=2_000)
    tried = []
    while (trial := seeking.next()) is not None:
        tried.append(trial.rate)
        seeking.tell(True)
    assert tried == [1_000, 1_500, 2_000, 2_000, 1_400]
    assert seeking.found == 2_000


def test_the_second_run_has_to_hold_as_well() -> None:
    seeking = Search(1_000, rate_max=1_000)
    for held in (True, True, False, True, True):
        assert seeking.next() is not None
        seeking.tell(held)
    assert seeking.next() is None
    assert seeking.found == pytest.approx(960)


def driven(words: dict[float, Word], capacity: float) -> Found:
    async def run_step(rate: float, seconds: float) -> Step:
        assert seconds == 10
        return Step(
            label=f"{rate:.0f}", setting={"rate": rate}, seconds=seconds, offered_per_s=rate, delivered_per_s=rate,
            response_p99_ms=1, e2e_p99_ms=2, held=rate <= capacity, reasons=[],
        )  # fmt: skip

    async def run_full(rate: float) -> Result:
        return run(rate=rate, p99=rate / 1000, word=next((word for over, word in words.items() if rate > over), "pass"))

    return asyncio.run(search(run_step, run_full, 1_000))


def test_the_confirmed_pair_is_what_counts() -> None:
    found = driven({9_500: "invalid"}, capacity=10_000)
    assert found.rate is not None
    assert [result.request.target_per_s for result in found.runs] == [found.rate, found.rate * 0.7]
    verdict = found.verdict()
    assert verdict.exit_code == 0
    assert f"PASS highest rate {found.rate:,.0f} msg/s" in verdict.line
    assert "at 70 % p99" in verdict.line


def test_a_wrong_run_ends_it_with_its_verdict() -> None:
    found = driven({0: "wrong"}, capacity=10_000)
    assert (found.verdict().exit_code, found.runs, found.rate) == (6, [], None)


def test_nothing_found_fails_with_the_reason() -> None:
    verdict = driven({}, capacity=0).verdict()
    assert (verdict.word, verdict.exit_code) == ("fail", 1)
    assert "no rate held" in verdict.line


def test_a_backlog_grows_when_its_slope_is_more_than_noise() -> None:
    seconds = [float(second) for second in range(10)]
    random = np.random.default_rng(2)
    noise = [float(x) for x in random.integers(0, 300, 10)]
    assert not backlog_grows(seconds, noise, 10_000)
    assert backlog_grows(seconds, [x + 200 * at for x, at in zip(noise, seconds, strict=True)], 10_000)
    assert not backlog_grows(seconds, [5_000 - 200 * at for at in seconds], 10_000)
    assert not backlog_grows(seconds, [None] * 10, 10_000)
