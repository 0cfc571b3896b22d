"""Which charts a run has: rate, latency, percentiles, wait events, processor shares, all from the result alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from queen.bench import percentiles
from queen.bench.report.charts import Band, Chart, Line, Plot, Values, chart
from queen.bench.result import Campaign, Result, Series
from queen.measure.histogram import LatencyHistogram

POINTS_MAX: Final = 300
"""A longer run is drawn with several seconds a point."""

_WAITS_MAX = 7
_PERCENTS: Final = (50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 99.999)
_PERCENT_TICKS: Final = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
_RATES = (
    ("offered", "offered", "dash"),
    ("accepted", "response", "solid"),
    ("delivered", "e2e", "solid"),
    ("errors", "bad", "solid"),
)
_LATENCIES = (
    ("response_p50_ms", "response p50", "response", "dash"),
    ("response_p99_ms", "response p99", "response", "solid"),
    ("service_p99_ms", "service p99", "service", "solid"),
    ("e2e_p50_ms", "end-to-end p50", "e2e", "dash"),
    ("e2e_p99_ms", "end-to-end p99", "e2e", "solid"),
    ("insert_p99_ms", "insert p99", "insert", "dotted"),
    ("generator_lag_p99_ms", "generator lag p99", "offered", "dotted"),
)
_SHARES = (
    ("server_cpu", "server", "response"),
    ("postgres_cpu", "PostgreSQL", "e2e"),
    ("generator_cpu", "generator", "service"),
    ("machine_cpu", "whole machine", "offered"),
    ("steal", "steal", "bad"),
)


def run_charts(result: Result) -> list[Chart]:
    """Those that have something to show, in the order of the page."""
    made = (_rate(result), _latency(result), _percentiles(result), _waits(result), _cpu(result), _backlog(result))
    return [one for one in made if one is not None]


def _over_time(
    result: Result, name: str, title: str, unit: str, lines: list[Line], log_y: bool = False
) -> Chart | None:
    """A chart over the run's clock, with phases and faults; long runs with several seconds a point."""
    seconds = result.series.second
    width = -(-len(seconds) // POINTS_MAX) or 1
    worst = log_y
    drawn = [Line(one.label, one.colour, _thin(one.values, width, worst), one.dash) for one in lines]
    caption = f"One point stands for {width} s: the {'largest' if worst else 'mean'} of them." if width > 1 else ""
    return chart(
        Plot(
            name=name,
            title=title,
            x=[float(second) for second in seconds[::width]],
            lines=drawn,
            x_unit="seconds of the run",
            y_unit=unit,
            log_y=log_y,
            stacked=name == "waits",
            bands=list(_bands(result)),
            caption=caption,
        )
    )


def _thin(values: Values, width: int, worst: bool) -> Values:
    """One value for `width` seconds."""
    if width == 1:
        return values
    thinned: Values = []
    for at in range(0, len(values), width):
        known = [value for value in values[at : at + width] if value is not None]
        thinned.append((max(known) if worst else sum(known) / len(known)) if known else None)
    return thinned


def _bands(result: Result) -> Iterator[Band]:
    seconds = result.series.second
    last = float(seconds[-1]) if seconds else 0.0
    for phase in result.phases:
        if phase.name in ("warmup", "drain") and phase.end_s > 0:
            yield Band(phase.name, "phase", max(0.0, phase.start_s), min(phase.end_s, last))
    for fault in result.faults:
        yield Band(fault.name, "fault", fault.at_s, min(fault.end_s, last))


def _column(series: Series, name: str) -> Values:
    """A series as long as the clock; empty places where it is shorter or unknown."""
    values = series.values.get(name, [])
    return [*values, *[None] * (len(series.second) - len(values))][: len(series.second)]


def _rate(result: Result) -> Chart | None:
    lines = [Line(name, colour, _column(result.series, name), dash) for name, colour, dash in _RATES]
    return _over_time(result, "rate", "Rate", "messages a second", lines)


def _latency(result: Result) -> Chart | None:
    lines = [Line(label, colour, _column(result.series, name), dash) for name, label, colour, dash in _LATENCIES]
    return _over_time(result, "latency", "Latency over time", "ms", lines, log_y=True)


def _cpu(result: Result) -> Chart | None:
    lines = [Line(label, colour, _column(result.series, name)) for name, label, colour in _SHARES]
    return _over_time(result, "cpu", "Processor time", "cores", lines)


def _backlog(result: Result) -> Chart | None:
    lines = [
        Line("backlog", "service", _column(result.series, "backlog")),
        Line("in flight", "offered", _column(result.series, "in_flight"), "dash"),
    ]
    return _over_time(result, "backlog", "Backlog", "messages", lines)


def _waits(result: Result) -> Chart | None:
    """The most frequent events each by itself, the others together."""
    series = result.series
    ordered = sorted(series.waits.items(), key=lambda item: -sum(item[1]))
    lines = []
    for at, (event, counts) in enumerate(ordered[:_WAITS_MAX]):
        lines.append(Line(event, f"stack{at}", _fit([float(count) for count in counts], len(series.second))))
    if others := [counts for _, counts in ordered[_WAITS_MAX:]]:
        total = [float(sum(counts)) for counts in zip(*others, strict=True)]
        lines.append(Line("others", "stack7", _fit(total, len(series.second))))
    return _over_time(result, "waits", "What PostgreSQL's sessions wait for", "samples a second", lines)


def _fit(values: list[float], length: int) -> Values:
    return [*values, *[None] * (length - len(values))][:length]


def _percentiles(result: Result) -> Chart | None:
    """Latency by percentile, which is spread by 1 / (1 - p): each further nine takes as much room as the one before."""
    lines = [
        Line(label, metric, _curve(result.histograms.get(metric)))
        for metric, label in (("response", "response"), ("service", "service"), ("e2e", "end-to-end"))
    ]
    known = [at for at in range(len(_PERCENTS)) if any(line.values[at] is not None for line in lines)]
    if len(known) < 2:
        return None
    percents = _PERCENTS[: known[-1] + 1]
    return chart(
        Plot(
            name="percentiles",
            title="Latency by percentile",
            x=[_spread(percent) for percent in percents],
            lines=[Line(one.label, one.colour, one.values[: len(percents)]) for one in lines],
            x_unit="percentile",
            y_unit="ms",
            log_x=True,
            log_y=True,
            x_ticks=[(_spread(tick), f"{tick:g}") for tick in _PERCENT_TICKS if tick <= percents[-1]],
            x_text=lambda spread: f"{100 - 100 / spread:.6g}",
            caption="Where response rises above service, messages waited before they were even sent.",
        )
    )


def _spread(percent: float) -> float:
    return 1 / (1 - percent / 100)


def _curve(encoded: str | None) -> Values:
    if not encoded:
        return [None] * len(_PERCENTS)
    histogram = LatencyHistogram.decode(encoded)
    return [percentiles.at(histogram, percent) for percent in _PERCENTS]


def campaign_charts(campaign: Campaign) -> list[Chart]:
    """Latency and delivery by what a search or a sweep varied, when that is a number."""
    rows = [(value, step) for step in campaign.steps if (value := _varied(step.setting)) is not None]
    rows.sort(key=lambda row: row[0])
    if campaign.kind == "ab" or not rows:
        return []
    x, name = [value for value, _ in rows], next(iter(rows[0][1].setting))
    latency = [
        Line("response p99", "response", [step.response_p99_ms for _, step in rows]),
        Line("end-to-end p99", "e2e", [step.e2e_p99_ms for _, step in rows]),
    ]
    delivery = [
        Line("offered", "offered", [step.offered_per_s for _, step in rows], "dash"),
        Line("delivered", "e2e", [step.delivered_per_s for _, step in rows]),
    ]
    plots = (
        Plot("sweep-latency", f"Latency by {name}", x, latency, name, "ms", log_y=True, points=True),
        Plot("sweep-rate", f"Delivered by {name}", x, delivery, name, "messages a second", points=True),
    )
    return [one for one in map(chart, plots) if one is not None]


def _varied(setting: dict[str, float | str]) -> float | None:
    value = next(iter(setting.values()), None)
    return float(value) if isinstance(value, int | float) else None
