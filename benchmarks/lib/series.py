"""One load measured at several values of one parameter, in rounds, and the ratio of each value to the first.

A round visits all values before the next begins, so drift of the machine meets them alike. Ratios are made within a
round and their median is reported: two neighbours in time share the state of the machine.
It does arithmetic and formats; it measures nothing.
"""

from __future__ import annotations

import statistics
from typing import Any

import msgspec

from benchmarks.lib.cells import Window, ratio
from benchmarks.lib.measure import PlanRun
from benchmarks.lib.plan import Verdict
from benchmarks.lib.record import Record
from benchmarks.lib.text import align, number, times, verdict_line


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """All windows at one value. Medians are over windows that count, ratios over rounds where both count.

    `rate_ratio` is messages a second over those at the first value; `cost_ratio` the same of daemon and PostgreSQL
    together; `all_cost_ratio` adds the generator, which uses the same cores.
    """

    value: int
    median_msg_per_s: float | None
    median_total_us: float | None
    rate_ratio: float | None
    cost_ratio: float | None
    all_cost_ratio: float | None
    windows: list[Window]


class Series(Record, frozen=True, kw_only=True):
    """The record of such a command. `parameter` names what was varied; `extra` is what it alone has to say."""

    parameter: str
    points: list[Point]
    verdicts: list[Verdict]
    extra: dict[str, Any]


def make_points(values: list[int], windows: dict[int, list[Window]]) -> list[Point]:
    first = windows[values[0]]
    return [_point(value, windows[value], first) for value in values]


def _point(value: int, windows: list[Window], first: list[Window]) -> Point:
    counting = [window for window in windows if window.counts]
    base = {window.repeat: window for window in first if window.counts}
    pairs = [(window, base[window.repeat]) for window in counting if window.repeat in base]
    return Point(
        value=value,
        median_msg_per_s=_median([window.msg_per_s for window in counting]),
        median_total_us=_median([window.total_us for window in counting]),
        rate_ratio=_median([ratio(a.msg_per_s, b.msg_per_s) for a, b in pairs]),
        cost_ratio=_median([ratio(a.total_us, b.total_us) for a, b in pairs]),
        all_cost_ratio=_median([ratio(_with_generator(a), _with_generator(b)) for a, b in pairs]),
        windows=windows,
    )


def _with_generator(window: Window) -> float | None:
    return None if window.total_us is None else window.total_us + window.generator_us


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def problems(runs: list[PlanRun], points: list[Point]) -> list[str]:
    found = [problem for run in runs for problem in run.problems()]
    return found + [f"at {point.value:,}: no window counts" for point in points if point.median_msg_per_s is None]


_HEADINGS = [
    *("msg/s", "ratio", "daemon µs", "PG µs", "total µs", "ratio", "gen µs", "WAL B", "writes", "stmts", "msgs/pop"),
    *("push p50/p99", "pop p50/p99", "ack p50/p99 ms"),
]


def table(series: Series) -> str:
    """Medians of each value; costs are CPU-µs, bytes and counts a message; latencies of the last window."""
    rows = [[series.parameter, *_HEADINGS], *(_row(point) for point in series.points)]
    lines = align(rows)
    for point in series.points:
        for window in point.windows:
            lines += [f"note: {point.value:,} round {window.repeat + 1}: {note}" for note in window.notes]
    if not all(verdict.order_judged for verdict in series.verdicts):
        lines.append("note: where partitions are few, the order over several pushes was not judged")
    lines += [f"PROBLEM: {problem}" for problem in series.problems]
    lines.append(verdict_line(series.valid))
    return "\n".join(lines)


def _row(point: Point) -> list[str]:
    counting = [window for window in point.windows if window.counts]
    if not counting:
        return [f"{point.value:,}", "no window counts"]

    def middle(name: str, digits: int) -> str:
        return number(_median([getattr(window, name) for window in counting]), digits)

    return [
        f"{point.value:,}",
        number(point.median_msg_per_s, 0),
        number(point.rate_ratio, 3),
        middle("server_us", 1),
        middle("postgres_us", 1),
        number(point.median_total_us, 1),
        number(point.cost_ratio, 3),
        middle("generator_us", 1),
        middle("wal_bytes", 0),
        middle("writes", 4),
        middle("statements", 4),
        middle("messages_per_pop", 0),
        *(times(counting[-1].latency.get(verb)) for verb in ("push", "pop", "ack")),
    ]
