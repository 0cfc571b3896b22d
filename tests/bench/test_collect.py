"""Adding up seconds of several workers, judging steadiness by their blocks, and folding them into series."""

from __future__ import annotations

import numpy as np
import pytest

from queen.bench.collect import Block, Collector, Second
from queen.bench.orders import Counts, Slice
from queen.bench.result import Phase
from queen.bench.seen import Seen
from queen.bench.series import COARSE_S, FINE_S, of_seconds, phase_of
from queen.bench.steady import judged, settled
from queen.measure.histogram import LatencyHistogram

ZERO_S = 500


def told(
    second: int, worker: int = 0, *, accepted: int = 10, acked: int = 10, ms: int = 2, metric: str = "response"
) -> Slice:
    histogram = LatencyHistogram()
    histogram.record_many_us(np.full(accepted, ms * 1000))
    return Slice(
        worker=worker,
        phase="load",
        second=ZERO_S + second,
        counts=Counts(due=accepted, accepted=accepted, acked=acked),
        latencies={metric: histogram.encode()} if accepted else {},
        errors={"timeout": 1},
        in_flight=3,
        cpu_s=0.25,
        rss_bytes=100,
    )


def run_of(seconds: int, *, measure: tuple[int, int] | None = None, **traits: bool) -> Collector:
    collector = Collector(1, ZERO_S, **traits)  # type: ignore[arg-type]
    if measure:
        collector.begin_measuring(measure[0], 5)
        collector.end_measuring(measure[1])
    for second in range(seconds):
        collector.take(told(second, ms=100 if measure and second >= measure[1] else 2))
    collector.finish()
    return collector


def test_a_second_closes_when_every_worker_has_told_of_it() -> None:
    collector = Collector(2, ZERO_S)
    collector.take(told(0, 0))
    assert collector.seconds == []
    collector.take(told(0, 1, accepted=5, acked=4))
    [second] = collector.seconds
    assert (second.counts.accepted, second.errors["timeout"], second.in_flight) == (15, 2, 6)
    assert (second.cpu_s, second.cpu_s_max, second.rss_bytes, second.backlog) == (0.5, 0.25, 200, 1)
    assert second.latencies["response"][1] == pytest.approx(2, rel=0.01)


def test_a_worker_that_left_is_not_waited_for() -> None:
    collector = Collector(2, ZERO_S)
    collector.take(told(0, 0))
    collector.leave(1)
    assert len(collector.seconds) == 1


def test_the_whole_is_the_measured_time_and_the_late_are_told_apart() -> None:
    collector = run_of(30, measure=(10, 20))
    assert collector.whole["response"].count == 100
    assert collector.whole["response"].max_ms() == pytest.approx(2, rel=0.01)
    assert collector.late["response"].count == 100
    assert collector.late["response"].max_ms() == pytest.approx(100, rel=0.01)
    assert [one.second for one in collector.measured()] == list(range(10, 20))
    decoded = [LatencyHistogram.decode(block.encoded["response"]).count for block in collector.blocks]
    assert decoded == [50, 50]


def test_late_answers_count_where_they_belong_to_the_question() -> None:
    collector = run_of(30, measure=(10, 20), late_counts=True)
    assert collector.whole["response"].count == 200
    assert collector.late == {}
    assert sum(LatencyHistogram.decode(block.encoded["response"]).count for block in collector.blocks) == 200


def test_latencies_without_a_meaning_are_left_out() -> None:
    collector = Collector(1, ZERO_S, without=frozenset({"response"}))
    collector.take(told(0))
    assert collector.seconds[0].latencies == {}


def test_the_warm_up_is_cut_into_blocks_of_five_seconds() -> None:
    collector = run_of(17)
    assert [block.accepted for block in collector.warm] == [50, 50, 50, 20]
    assert settled(collector.warm[:3])


def blocks(*values: tuple[int, float | None]) -> list[Block]:
    return [Block(accepted, p50, {}) for accepted, p50 in values]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (blocks((50_000, 5.0), (50_000, 5.1)), False),
        (blocks((50_000, 5.0), (50_000, 5.1), (50_000, 5.2)), True),
        (blocks((50_000, 9.0), (50_000, 5.0), (50_000, 5.1), (50_000, 5.2)), True),
        (blocks((50_000, 5.0), (50_000, 5.1), (50_000, 5.4)), False),
        (blocks((50_000, 5.0), (50_000, 5.0), (47_000, 5.0)), False),
        (blocks((100, 5.0), (100, 5.0), (85, 5.0)), True),  # what chance alone gives
        (blocks((50_000, 0.4), (50_000, 0.5), (50_000, 0.55)), True),  # below what a clock can tell
        (blocks((50_000, None), (50_000, 5.0), (50_000, 5.0)), False),
        (blocks((0, 5.0), (0, 5.0), (0, 5.0)), False),
    ],
)
def test_steady_is_three_blocks_alike(seen: list[Block], expected: bool) -> None:
    assert settled(seen) is expected


def by_seconds(*p50s_ms: list[float]) -> list[Block]:
    return [Block(50_000, sum(seconds) / len(seconds), {}, seconds) for seconds in p50s_ms]


def test_seconds_that_differ_by_chance_do_not_make_a_warm_up_unsteady() -> None:
    uneven = by_seconds([3.0, 4.1, 2.8, 3.6, 3.3], [3.5, 4.4, 3.9, 3.1, 4.2], [2.9, 3.2, 4.0, 3.4, 3.0])
    medians = [block.response_p50_ms or 0 for block in uneven]
    assert max(medians) > 1.05 * min(medians) + 0.2, "by 5 % alone it would not be"
    assert settled(uneven)


@pytest.mark.parametrize("step_ms", [0.1, 1.0, 10.0])
def test_a_drift_is_never_taken_for_chance(step_ms: float) -> None:
    drifting = [5.0 + step_ms * second for second in range(15)]
    assert not settled(by_seconds(drifting[:5], drifting[5:10], drifting[10:]))
    assert not settled(by_seconds(*reversed([drifting[:5], drifting[5:10], drifting[10:]])))


def test_the_collector_keeps_the_medians_of_seconds() -> None:
    collector = run_of(17)
    assert [len(block.second_p50s_ms) for block in collector.warm] == [5, 5, 5, 2]
    assert collector.warm[0].second_p50s_ms[0] == pytest.approx(collector.warm[0].response_p50_ms)


def test_a_short_warm_up_is_not_judged() -> None:
    assert judged(15)
    assert not judged(14)


def seconds(count: int) -> list[Second]:
    made = []
    for number in range(count):
        made.append(Second(number, Counts(accepted=number), backlog=number))
    return made


def test_a_short_series_has_every_second() -> None:
    series = of_seconds(seconds(FINE_S), lambda _: "measure", Seen())
    assert series.second == list(range(FINE_S))
    assert series.values["accepted"][-1] == FINE_S - 1


def test_a_long_series_is_coarser_rates_as_means_and_the_rest_as_maxima() -> None:
    series = of_seconds(seconds(FINE_S + COARSE_S), lambda _: "measure", Seen())
    assert series.second[:2] == [0, COARSE_S]
    assert len(series.second) == FINE_S // COARSE_S + 1
    assert series.values["accepted"][0] == 4.5
    assert series.values["backlog"][0] == 9
    assert series.values["e2e_p99_ms"][0] is None


def test_seconds_know_their_phase() -> None:
    collector = run_of(30, measure=(10, 20))
    phases = [Phase(name="warmup", start_s=2, end_s=10), Phase(name="drain", start_s=20, end_s=30)]
    assert [phase_of(collector, phases, at) for at in (0, 5, 10, 19, 20)] == [
        "setup",
        "warmup",
        "measure",
        "measure",
        "drain",
    ]
