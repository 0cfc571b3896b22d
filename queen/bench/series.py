"""The seconds of a run as series: one value a second, coarser for long runs so that a result stays small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from queen.bench.collect import Collector, Second
from queen.bench.result import Phase, Series
from queen.bench.seen import Seen

FINE_S = 900
COARSE_S = 10
_COUNTS = {"offered": "due", "sent": "sent", "accepted": "accepted", "delivered": "delivered", "acked": "acked"}
_MEANS = ("errors", "steal", "rows_per_statement", "checkpoints")
_LATENCIES = (
    ("response_p50_ms", "response", 0),
    ("response_p99_ms", "response", 1),
    ("response_max_ms", "response", 2),
    ("e2e_p50_ms", "e2e", 0),
    ("e2e_p99_ms", "e2e", 1),
    ("e2e_max_ms", "e2e", 2),
    ("service_p99_ms", "service", 1),
    ("generator_lag_p99_ms", "generator_lag", 1),
    ("connection_wait_p99_ms", "connection_wait", 1),
)


def of_seconds(seconds: Sequence[Second], phase: Callable[[int], str], seen: Seen) -> Series:
    """Up to 15 minutes one value a second; longer runs one for ten: rates and shares as means, the rest as maxima."""
    rows = [_values(one) | _observed(seen, one.second) for one in seconds]
    step = 1 if len(rows) <= FINE_S else COARSE_S
    starts = range(0, len(rows), step)
    names = [*_values(Second(0)), *seen.values]
    parts = [seconds[at : at + step] for at in starts]
    return Series(
        second=[seconds[at].second for at in starts],
        phase=[phase(seconds[at].second) for at in starts],
        values={name: [_fold(name, [row[name] for row in rows[at : at + step]]) for at in starts] for name in names},
        waits={
            event: [sum(counts[one.second] for one in part if one.second < len(counts)) for part in parts]
            for event, counts in seen.waits.items()
        },
    )


def phase_of(collector: Collector, phases: Sequence[Phase], second: int) -> str:
    """The phase that a second of the run's clock belongs to."""
    from_s, to_s = collector.measure_from_s, collector.measure_to_s
    if from_s is not None and second >= from_s and (to_s is None or second < to_s):
        return "measure"
    found = [phase.name for phase in phases if phase.name != "measure" and phase.start_s <= second + 0.5]
    return found[-1] if found else "setup"


def _values(one: Second) -> dict[str, float | None]:
    values: dict[str, float | None] = {name: getattr(one.counts, field) for name, field in _COUNTS.items()}
    values["errors"] = sum(one.errors.values())
    values["in_flight"] = one.in_flight
    values["backlog"] = one.backlog
    values["generator_cpu"] = one.cpu_s
    values["generator_rss_bytes"] = one.rss_bytes
    for name, metric, place in _LATENCIES:
        values[name] = one.latencies[metric][place] if metric in one.latencies else None
    return values


def _observed(seen: Seen, second: int) -> dict[str, float | None]:
    """The other side in a second of the run's clock."""
    return {name: values[second] if 0 <= second < len(values) else None for name, values in seen.values.items()}


def _fold(name: str, values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) == 1:
        return known[0]
    return fmean(known) if name in _COUNTS or name in _MEANS or name.endswith(("_cpu", "_per_s")) else max(known)
