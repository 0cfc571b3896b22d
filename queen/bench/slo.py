"""Objectives held against facts. A value that could not be measured is never held, and says why.

The grammar is that of `objective`, whose names are here too. Knows nothing of verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from queen.bench import percentiles
from queen.bench.facts import Facts
from queen.bench.objective import LEDGER, Slo, always, parse, with_always
from queen.bench.result import Percentiles, SloOutcome
from queen.measure.histogram import LatencyHistogram

__all__ = ["Slo", "always", "check", "check_all", "parse", "with_always"]

TOO_FEW: Final = "too few samples"
"""How the reason of an outcome begins when a percentile lacks samples."""
_ENOUGH_ANYHOW: Final = ("max", "mean")
_SERIES: Final = {"backlog": "backlog", "rss": "server_rss_bytes"}

T = TypeVar("T")
Measured = tuple[float | None, str | None]
"""A value, or why there is none."""


def check_all(slos: Sequence[Slo], facts: Facts) -> list[SloOutcome]:
    """How each objective went."""
    return [check(slo, facts) for slo in slos]


def check(slo: Slo, facts: Facts) -> SloOutcome:
    """How one objective went."""
    if slo.window_s is not None:
        return _check_windows(slo, _windows(slo, facts, slo.window_s))
    value, reason = _whole(slo, facts)
    return _outcome(slo, value, reason if value is None else None)


def _check_windows(slo: Slo, windows: list[Measured]) -> SloOutcome:
    """Held when every window holds; the worst one is the value."""
    if not windows:
        return _outcome(slo, None, "nothing was measured in windows of that length")
    values = [value for value, _ in windows if value is not None]
    missed = sum(value is None or not slo.holds(value) for value, _ in windows)
    reason = next((reason for value, reason in windows if value is None), None)
    if reason is not None:
        silent = len(windows) - len(values)
        return _outcome(slo, None, f"{reason} ({silent} of {len(windows)} windows)", missed=missed)
    worst = max(values) if slo.wants_low else min(values)
    reason = f"missed in {missed} of {len(windows)} windows" if missed else None
    return _outcome(slo, worst, reason, missed=missed)


def _outcome(slo: Slo, value: float | None, reason: str | None, missed: int | None = None) -> SloOutcome:
    return SloOutcome(
        text=slo.text,
        value=value,
        value_text="n/a" if value is None else show(slo.unit, value),
        held=value is not None and slo.holds(value) and not missed,
        always=slo.always,
        reason=reason,
        windows_missed=missed,
        margin=None if value is None else slo.margin(value),
    )


def show(unit: str, value: float) -> str:
    """A value of an objective for people."""
    match unit:
        case "ms":
            return percentiles.milliseconds(value)
        case "per_s":
            return f"{value:,.0f} msg/s" if value >= 100 else f"{value:.1f} msg/s"
        case "share":
            return f"{value * 100:.3g} %"
        case "bytes":
            return f"{value:,.0f} B"
        case "us":
            return f"{value:,.1f} us"
        case "s":
            return f"{value:.1f} s"
    return f"{value:,.0f}"


def _whole(slo: Slo, facts: Facts) -> Measured:
    """The value of the whole measured time."""
    if slo.unit == "ms":
        return _latency(slo, facts)
    if slo.metric == "rate":
        rate = {"sent": facts.sent, "accepted": facts.accepted, "delivered": facts.delivered}[slo.field or ""]
        return rate, "not measured"
    if slo.metric in LEDGER:
        return _ledger(slo.metric, facts)
    if slo.metric == "recovery":
        return _recovery(slo.field or "", facts)
    return _figure(slo.metric, facts)


def _latency(slo: Slo, facts: Facts) -> Measured:
    histogram = facts.latency.get(slo.field or "")
    if histogram is not None and histogram.count:
        return _of_histogram(slo, histogram)
    if slo.field == "insert" and facts.insert is not None and facts.insert.count:
        return _of_percentiles(slo, facts.insert)
    return None, f"no {slo.field} was measured"


def _of_histogram(slo: Slo, histogram: LatencyHistogram) -> Measured:
    if slo.percent is None:
        return histogram.max_ms() if slo.metric == "max" else histogram.mean_ms(), None
    if not percentiles.showable(slo.percent, histogram.count):
        return None, _too_few(slo, histogram.count)
    return histogram.percentile_ms(slo.percent), None


def _of_percentiles(slo: Slo, known: Percentiles) -> Measured:
    value: float | None = getattr(known, slo.metric.replace(".", "_"))
    if slo.metric in _ENOUGH_ANYHOW or value is not None:
        return value, "not measured"
    if percentiles.showable(slo.percent or 0, known.count):
        return None, "not known: the runs were merged, and their histograms were not kept"
    return None, _too_few(slo, known.count)


def _too_few(slo: Slo, count: int) -> str:
    return f"{TOO_FEW}: {slo.metric} needs {percentiles.needed(slo.percent or 0):,}, there are {count:,}"


def _ledger(name: str, facts: Facts) -> Measured:
    ledger = facts.ledger
    if ledger is None:
        return None, "there is no ledger"
    count: int = getattr(ledger, name)
    if name in ("lost", "unacked") and not ledger.complete and not count:
        return None, "not known: the drain did not reach its end"
    if name == "early" and not ledger.early_judged:
        return None, "not judged with auto-ack"
    return count, None


def _recovery(name: str, facts: Facts) -> Measured:
    struck = [fault for fault in facts.faults if fault.name.partition("@")[0] == name]
    if not struck:
        return None, f"{name} did not happen"
    times = [fault.recovery_s for fault in struck if fault.recovery_s is not None]
    return (
        (max(times), None) if len(times) == len(struck) else (None, "the rate was never back at 95 % of the baseline")
    )


def _figure(name: str, facts: Facts) -> Measured:
    costs = facts.costs
    match name:
        case "errors":
            return facts.error_share, "not measured"
        case "backlog":
            return facts.backlog_max, "not measured"
        case "rss":
            return facts.rss_bytes_max, "the server's processes are not on this machine, or not known"
        case "wal_per_msg":
            return (costs.wal_bytes if costs else None), "not measured: no database was known"
    server, postgres = (costs.server_cpu_us, costs.postgres_cpu_us) if costs else (None, None)
    if server is None or postgres is None:
        return None, "processor time of server or database was not measured"
    return server + postgres, None


def _windows(slo: Slo, facts: Facts, window_s: float) -> list[Measured]:
    """The values of whole windows that do not overlap, in order."""
    if slo.unit == "ms":
        return _latency_windows(slo, facts, window_s)
    if slo.metric == "errors":
        return _error_windows(facts, window_s)
    name = slo.field if slo.metric == "rate" else _SERIES[slo.metric]
    cuts = _cut(facts.series.get(name or "", []), window_s / facts.series_s)
    pick = (lambda values: sum(values) / len(values)) if slo.metric == "rate" else max
    return [_of_series(cut, pick) for cut in cuts]


def _latency_windows(slo: Slo, facts: Facts, window_s: float) -> list[Measured]:
    made: list[Measured] = []
    for cut in _cut(facts.slices.get(slo.field or "", []), window_s / facts.slice_s):
        together = LatencyHistogram()
        for part in cut:
            if part is not None:
                together.add(part)
        made.append(_of_histogram(slo, together) if together.count else (None, f"{TOO_FEW}: a window without any"))
    return made


def _error_windows(facts: Facts, window_s: float) -> list[Measured]:
    """Errors of a window for what was sent in it, in the proportion that the whole run has."""
    errors, sent = (facts.series.get(name, []) for name in ("errors", "sent"))
    all_errors, all_sent = (sum(value or 0 for value in values) for values in (errors, sent))
    scale = (facts.error_share or 0) * all_sent / all_errors if all_errors else 0
    size = window_s / facts.series_s
    windows: list[Measured] = []
    for failed, tried in zip(_cut(errors, size), _cut(sent, size), strict=False):
        count, base = (sum(value or 0 for value in values) for values in (failed, tried))
        windows.append((min(1.0, count * scale / base) if base else float(count > 0), None))
    return windows


def _of_series(values: list[float | None], pick: object) -> Measured:
    known = [value for value in values if value is not None]
    if not known or not callable(pick):
        return None, "a window in which nothing was measured"
    return float(pick(known)), None


def _cut(values: list[T], size: float) -> list[list[T]]:
    """Neighbouring values in parts of `size`; what is left at the end is in no part, unless it is all there is."""
    width = max(1, round(size))
    parts = [values[start : start + width] for start in range(0, len(values) - width + 1, width)]
    return parts or ([values] if values else [])
