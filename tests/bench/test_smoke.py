"""The short load of `queen tune-pg`: what counts as worse than before, and when there is no answer."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from queen.bench import smoke
from queen.bench.result import Result, SloOutcome
from queen.measure.histogram import LatencyHistogram
from tests.support.bench_results import invalid, passed, percentiles, wrong


def _run(factor: float = 1.0, seed: int = 1, **changes: object) -> Result:
    """A run whose answers take `factor` times as long, with its slices."""

    def made(count: int, number: int) -> LatencyHistogram:
        drawn = np.random.default_rng([seed, number]).lognormal(math.log(3000 * factor), 0.4, count)
        found = LatencyHistogram()
        found.record_many_us(drawn.astype(np.int64))
        return found

    whole = {name: made(20_000, 1) for name in ("response", "e2e")}
    run = passed(
        seed,
        latency={name: percentiles(one) for name, one in whole.items()},
        histograms={name: one.encode() for name, one in whole.items()},
        slices={name: [made(5000, 2 + n).encode() for n in range(4)] for name in whole},
    )
    return msgspec.structs.replace(run, **changes)


def test_the_same_and_a_little_slower_are_not_worse() -> None:
    for factor in (0.5, 1.0, 1.3):
        judged = smoke.judge(_run(), _run(factor, 2))
        assert judged.word == "not worse", factor
        assert len(judged.reasons) == 3
    assert "response_p50 3.0 → 3.9 ms, ratio 1.3" in judged.reasons[0]


def test_answers_that_take_twice_as_long_are_worse() -> None:
    judged = smoke.judge(_run(), _run(2.0, 2))
    assert judged.word == "worse"
    assert "ratio 2.0" in judged.reasons[0]
    assert judged.comparison is not None


def test_other_settings_of_postgresql_are_what_is_compared_and_another_machine_is_not() -> None:
    before = _run()
    postgres = {**before.fingerprint["postgres"], "settings": {"work_mem": "9MB"}}
    other = {**before.fingerprint, "postgres": postgres}
    assert smoke.judge(before, _run(seed=2, fingerprint=other, fingerprint_hash="x")).word == "not worse"
    moved = {**before.fingerprint, "cpu": {"model": "another"}}
    judged = smoke.judge(before, _run(seed=2, fingerprint=moved, fingerprint_hash="y"))
    assert judged.word == "no answer"
    assert "different fingerprints" in judged.reasons[0]


def test_objectives_that_held_before_and_messages_that_were_lost_outweigh_the_figures() -> None:
    late = [
        SloOutcome(text=text, value=700.0, value_text="700/s", held=False, always=False, margin=-0.3)
        for text in (smoke.SLOS[0], smoke.LAG)
    ]
    slow = _run(slos=late)
    judged = smoke.judge(_run(), slow)
    assert judged.word == "worse"
    assert judged.reasons == ("held before, and not now: rate(delivered)>=0.95*target (700/s)",)
    assert smoke.judge(slow, slow).word == "not worse", "it did not hold before either"
    assert smoke.judge(_run(), _run(slos=late[1:])).word == "not worse", "that one is about the generator"
    assert smoke.judge(_run(), wrong()).word == "worse"


def test_without_a_run_from_before_or_with_one_that_says_nothing_there_is_no_answer() -> None:
    judged = smoke.judge(None, _run())
    assert judged.word == "no answer"
    assert "no run from before" in judged.reasons[0]
    assert "3.0 ms" in judged.reasons[1]
    assert smoke.judge(_run(), invalid()).word == "no answer"
    assert smoke.judge(invalid(), _run()).word == "no answer"


def test_the_load_is_bounded_and_its_own() -> None:
    load = smoke.asked().workload
    assert (load.rate, load.warmup_s, load.measure_s) == (smoke.RATE, smoke.WARMUP_S, smoke.MEASURE_S)
    assert load.measure_s * load.rate >= 10_000, "enough for a p99 that is compared"
