"""Numbers and columns for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.lib.plan import Latency


def number(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:,.{digits}f}"


def times(latency: Latency | None) -> str:
    """p50/p99 in milliseconds."""
    return f"{latency.p50_ms:.1f}/{latency.p99_ms:.1f}" if latency else "-"


def align(rows: Iterable[list[str]]) -> list[str]:
    """Columns of one width: the first left, the others right. A short row is a remark and sets no width."""
    rows = list(rows)
    columns = max(len(row) for row in rows)
    full = [row for row in rows if len(row) == columns]
    widths = [max(len(row[index]) for row in full) for index in range(columns)]
    return ["  ".join(_pad(row[place], width, place) for place, width in enumerate(widths[: len(row)])) for row in rows]


def _pad(text: str, width: int, place: int) -> str:
    return text.rjust(width) if place else text.ljust(width)


def verdict_line(valid: bool) -> str:
    return "result   valid" if valid else "result   NOT VALID, do not quote"
