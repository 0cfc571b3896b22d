"""What objectives are judged by: everything measured of a run, in one value. Built by the run itself, or from its
record, so that a saved run can be judged again. Knows no objective."""

from __future__ import annotations

from dataclasses import dataclass, field

from queen.bench.result import Costs, FaultReport, LedgerReport, Percentiles, Result, Series
from queen.measure.histogram import LatencyHistogram


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Of the measured time. None: not measured. Rates are messages a second, latencies milliseconds."""

    latency: dict[str, LatencyHistogram]
    slices: dict[str, list[LatencyHistogram | None]] = field(default_factory=dict)
    """By slice of `slice_s` seconds, by metric."""
    slice_s: int = 1
    insert: Percentiles | None = None
    """Of the server's own histogram, where `latency` has no `insert`."""
    target: float | None = None
    offered: float | None = None
    sent: float | None = None
    accepted: float | None = None
    delivered: float | None = None
    error_share: float | None = None
    """Failed requests of all, 0 to 1."""
    backlog_max: int | None = None
    rss_bytes_max: int | None = None
    series: dict[str, list[float | None]] = field(default_factory=dict)
    """One value for `series_s` seconds, of the measured time alone; names as in `result.Series`."""
    series_s: float = 1
    ledger: LedgerReport | None = None
    costs: Costs | None = None
    faults: list[FaultReport] = field(default_factory=list)


def _histograms(result: Result) -> dict[str, str]:
    """Those of the generator, and the server's own."""
    insert = result.server.insert_histogram if result.server else None
    return ({} if insert is None else {"insert": insert}) | result.histograms


def of_result(result: Result) -> Facts:
    """The facts of a saved run. Raises ValueError for a histogram that is none."""
    decode = LatencyHistogram.decode
    return Facts(
        latency={name: decode(text) for name, text in _histograms(result).items()},
        slices={name: [(text and decode(text)) or None for text in texts] for name, texts in result.slices.items()},
        slice_s=result.slice_s,
        insert=result.server.insert if result.server else None,
        target=result.request.target_per_s,
        offered=result.offered_per_s,
        sent=result.sent_per_s,
        accepted=result.accepted_per_s,
        delivered=result.delivered_per_s,
        error_share=result.error_share,
        backlog_max=result.backlog_max,
        rss_bytes_max=result.server.rss_bytes_max if result.server else None,
        series=measured_series(result.series, result.request.workload.groups),
        series_s=step_of(result.series),
        ledger=result.ledger,
        costs=result.costs,
        faults=result.faults,
    )


def measured_series(series: Series, groups: int) -> dict[str, list[float | None]]:
    """The series in the measured time alone; what was delivered as the mean of all groups, as the rate is."""
    measured = [place for place, phase in enumerate(series.phase) if phase == "measure"]
    found = {
        name: [values[place] for place in measured if place < len(values)] for name, values in series.values.items()
    }
    if groups > 1 and "delivered" in found:
        found["delivered"] = [None if value is None else value / groups for value in found["delivered"]]
    return found


def step_of(series: Series) -> float:
    """Seconds from one value to the next."""
    seconds = [second for second, phase in zip(series.second, series.phase, strict=True) if phase == "measure"]
    return seconds[1] - seconds[0] if len(seconds) > 1 else 1
