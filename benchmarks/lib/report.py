"""The result file, the table on the terminal, and the comparison of two results.

It formats; every number was made in cells.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from benchmarks.lib.cells import Cell, ratio
from benchmarks.lib.plan import Verdict
from benchmarks.lib.record import SCHEMA_VERSION, Record
from benchmarks.lib.text import align, number, times, verdict_line


class SizeTotals(msgspec.Struct, frozen=True):
    """Counts over the whole life of one size, from rest to rest, a message: exact where a window's edge is not.
    `messages` were pushed, popped and acked, those of warm-ups included."""

    size: int
    messages: int
    wal_bytes: float
    writes: float
    commits: float
    statements: float | None


class Result(Record, frozen=True, kw_only=True):
    """One run of hotpath."""

    benchmark: str = "hotpath"
    cells: list[Cell]
    totals: list[SizeTotals]
    verdicts: dict[str, Verdict]


class ResultError(Exception):
    """A result file cannot be read."""


def load(path: Path) -> Result:
    """Raises ResultError."""
    try:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError) as error:
        raise ResultError(f"cannot read {path}: {error}") from error
    if result.schema_version != SCHEMA_VERSION:
        raise ResultError(f"{path} has schema version {result.schema_version}, this command reads {SCHEMA_VERSION}")
    return result


def table(result: Result) -> str:
    """Best counting window of each cell; costs are CPU-µs, bytes and counts a message."""
    rows = [_HEADINGS, *(_row(cell) for cell in result.cells)]
    lines = [*align(rows), "", *_totals(result.totals), *_legend(result)]
    return "\n".join(lines)


_HEADINGS = [
    *("stage", "size", "msg/s", "median", "server µs", "PG µs", "total µs", "median", "× ref", "gen µs"),
    *("WAL B", "writes", "commits", "stmts", "push p50/p99", "pop p50/p99", "ack p50/p99 ms"),
]


def _row(cell: Cell) -> list[str]:
    best = cell.best
    if best is None:
        return [cell.stage, str(cell.size), "no window counts"]
    latency = [times(best.latency.get(verb)) for verb in ("push", "pop", "ack")]
    return [
        cell.stage,
        str(cell.size),
        f"{best.msg_per_s:,.0f}",
        number(cell.median_msg_per_s, 0),
        *(number(value, 1) for value in (best.server_us, best.postgres_us, best.total_us, cell.median_total_us)),
        number(cell.best_to_reference, 2),
        number(best.generator_us, 1),
        number(best.wal_bytes, 0),
        *(number(value, 4) for value in (best.writes, best.commits, best.statements)),
        *latency,
    ]


def _totals(totals: list[SizeTotals]) -> list[str]:
    return [
        f"whole run at {total.size} a request: {total.messages:,} messages; each "
        f"{total.wal_bytes:,.0f} WAL bytes, {total.commits:.4f} commits ({total.writes:.4f} of them "
        f"writing), {number(total.statements, 4)} statements"
        for total in totals
    ]


def _legend(result: Result) -> list[str]:
    lines = [
        "× ref: total over a prototype's uvicorn figures (331, 59, 24 µs for a whole life at 1, 10, 100 a request)"
    ]
    for cell in result.cells:
        for window in cell.windows:
            lines += [f"note: {cell.stage} {cell.size} window {window.repeat + 1}: {note}" for note in window.notes]
    for size, verdict in result.verdicts.items():
        if not verdict.order_judged:
            lines.append(f"note: at {size} a request the order over several pushes was not judged (few partitions)")
    lines += [f"PROBLEM: {problem}" for problem in result.problems]
    lines.append(verdict_line(result.valid))
    return lines


_COMPARED = [
    *("stage", "size", "msg/s", "server", "PG", "total", "median"),
    *("WAL", "writes", "statements", "p50", "p99"),
]


def compare(a: Result, b: Result) -> str:
    """Ratios B / A of the best windows, cell by cell; below 1 is cheaper, except for msg/s."""
    others = {(cell.stage, cell.size): cell for cell in b.cells}
    pairs = [(cell, others[cell.stage, cell.size]) for cell in a.cells if (cell.stage, cell.size) in others]
    rows = [_COMPARED, *(_ratios(left, right) for left, right in pairs)]
    return "\n".join([*_warnings(a, b), *align(rows), "B / A; costs below 1 are cheaper, msg/s above 1 is faster"])


def _ratios(a: Cell, b: Cell) -> list[str]:
    if a.best is None or b.best is None:
        return [a.stage, str(a.size), "no window counts"]
    names = ("msg_per_s", "server_us", "postgres_us", "total_us")
    values = [ratio(getattr(b.best, name), getattr(a.best, name)) for name in names]
    values.append(ratio(b.median_total_us, a.median_total_us))
    values += [ratio(getattr(b.best, name), getattr(a.best, name)) for name in ("wal_bytes", "writes", "statements")]
    verb = "push" if a.stage == "push" else "pop"
    left, right = a.best.latency.get(verb), b.best.latency.get(verb)
    values += [ratio(getattr(right, name, None), getattr(left, name, None)) for name in ("p50_ms", "p99_ms")]
    return [a.stage, str(a.size), *(number(value, 2) for value in values)]


def _warnings(a: Result, b: Result) -> list[str]:
    """What makes the two hard to compare, said before any ratio."""
    lines = [f"warning: {name} is not valid" for name, result in (("A", a), ("B", b)) if not result.valid]
    for key in ("machine", "postgres", "python"):
        left, right = _comparable(a.facts.get(key)), _comparable(b.facts.get(key))
        if left != right:
            lines.append(f"warning: {key} differs: {_difference(left, right)}")
    if a.parameters != b.parameters:
        lines.append(f"warning: parameters differ: {_difference(a.parameters, b.parameters)}")
    return lines


def _comparable(facts: Any) -> dict[str, Any]:
    return {name: value for name, value in (facts or {}).items() if name != "load_1m_before"}


def _difference(a: dict[str, Any], b: dict[str, Any]) -> str:
    names = [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]
    parts = []
    for name in names:
        left, right = a.get(name), b.get(name)
        if isinstance(left, dict) and isinstance(right, dict):
            parts.append(f"{name}.({_difference(left, right)})")
        else:
            parts.append(f"{name} {left} → {right}")
    return ", ".join(parts)
