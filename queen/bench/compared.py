"""What can be compared between runs: each metric with its unit, which way is good, and where a result keeps it.

Gives one value a run for pairs of runs, and statistics over slices of a run for single ones. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np

from queen.bench import percentiles
from queen.bench.result import Result, Series
from queen.measure.compare import Floats, Goodness, percentile_of, ratio_of_sums
from queen.measure.histogram import LatencyHistogram

BLOCK_S: Final = 5
BLOCKS_MIN: Final = 4
"""Of a single run: 20 s."""

Kind = Literal["rate", "latency", "cost"]
Statistic = Callable[[Floats], Floats]


class Metric(NamedTuple):
    name: str
    kind: Kind
    unit: str
    better: Goodness
    source: str
    """Of a latency its histogram; of a cost the series that is divided by the messages."""
    percent: float = 0


class NotComparable(Exception):
    """Why a metric of these runs cannot be compared, as a few words."""


def _latencies(source: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(f"{source}_{name}", "latency", "ms", "lower", source, percent)
        for name, percent in (("p50", 50), ("p99", 99), ("p99_9", 99.9))
    )


METRICS: Final[tuple[Metric, ...]] = (
    Metric("rate", "rate", "msg/s", "higher", ""),
    *_latencies("response"),
    *_latencies("e2e"),
    Metric("cpu_us", "cost", "µs/msg", "lower", "server_cpu postgres_cpu"),
    Metric("server_cpu_us", "cost", "µs/msg", "lower", "server_cpu"),
    Metric("postgres_cpu_us", "cost", "µs/msg", "lower", "postgres_cpu"),
    Metric("wal_bytes", "cost", "B/msg", "lower", "wal_bytes_per_s"),
    Metric("commits", "cost", "/msg", "lower", "commits_per_s"),
    Metric("statements", "cost", "/msg", "lower", "statements_per_s"),
)
BY_NAME: Final = {metric.name: metric for metric in METRICS}


def value(result: Result, metric: Metric) -> float:
    """The metric of the whole run. Raises NotComparable: not measured, zero, or too few samples to compare."""
    if metric.kind == "latency":
        found = _latency(result, metric)
    elif metric.kind == "cost":
        found = _cost(result, metric)
    else:
        found = result.delivered_per_s if result.request.workload.consume == "meanwhile" else result.accepted_per_s
    if found is None:
        raise NotComparable("not measured")
    if found <= 0:
        raise NotComparable("is zero")
    return found


def statistic(result: Result, metric: Metric) -> tuple[int, int, Statistic]:
    """How many slices the run has, how many make a block, and the statistic over them. Raises NotComparable."""
    made = _latency_slices(result, metric) if metric.kind == "latency" else _series_slices(result, metric)
    slices, block, _ = made
    if slices // block < BLOCKS_MIN:
        raise NotComparable(f"n/a (needs {BLOCK_S * BLOCKS_MIN} s of measuring)")
    return made


def _latency(result: Result, metric: Metric) -> float | None:
    held = result.latency.get(metric.source)
    if held is None:
        return None
    if not percentiles.comparable(metric.percent, held.count):
        raise NotComparable(f"n/a (needs {percentiles.needed_to_compare(metric.percent):,})")
    found: float | None = getattr(held, metric.name.removeprefix(f"{metric.source}_"))
    return found


def _cost(result: Result, metric: Metric) -> float | None:
    costs = result.costs
    if costs is None:
        return None
    if metric.name == "cpu_us":
        parts = (costs.server_cpu_us, costs.postgres_cpu_us)
        return None if parts[0] is None or parts[1] is None else parts[0] + parts[1]
    found: float | None = getattr(costs, metric.name)
    return found


def _latency_slices(result: Result, metric: Metric) -> tuple[int, int, Statistic]:
    encoded = result.slices.get(metric.source) or []
    cells = [LatencyHistogram.decode(text).cells() if text else (np.array([], np.int64),) * 2 for text in encoded]
    if not any(values.size for values, _ in cells):
        raise NotComparable("not measured by slice")
    every = np.unique(np.concatenate([values for values, _ in cells]))
    counts = np.zeros((len(cells), every.size))
    for row, (values, held) in enumerate(cells):
        counts[row, np.searchsorted(every, values)] = held
    return len(cells), _block(result.slice_s), percentile_of(counts, every / 1000, metric.percent)


def _series_slices(result: Result, metric: Metric) -> tuple[int, int, Statistic]:
    series = result.series
    meanwhile = result.request.workload.consume == "meanwhile"
    if metric.kind == "rate":
        parts = _measured(series, "delivered" if meanwhile else "accepted")
        wholes = np.ones_like(parts)
    else:
        parts = np.sum([_measured(series, name) for name in metric.source.split()], axis=0)
        wholes = _measured(series, "acked" if meanwhile else "accepted")
    known = ~(np.isnan(parts) | np.isnan(wholes))
    seconds = np.array(series.second, dtype=np.float64)
    step = float(np.median(np.diff(seconds))) if seconds.size > 1 else 1.0
    return int(known.sum()), _block(step), ratio_of_sums(parts[known], wholes[known])


def _measured(series: Series, name: str) -> Floats:
    """One series over the measured time, with NaN where nothing was seen."""
    if name not in series.values:
        raise NotComparable("not measured by second")
    held = [value for value, phase in zip(series.values[name], series.phase, strict=True) if phase == "measure"]
    return np.array([np.nan if value is None else value for value in held], dtype=np.float64)


def _block(slice_s: float) -> int:
    return max(1, round(BLOCK_S / slice_s))
