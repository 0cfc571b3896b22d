"""What a server says of itself at `/metrics`, as flat figures, and its insert histogram as percentiles' source.

Every part may be missing: an older server tells less.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from queen.measure.histogram import LatencyHistogram

VERBS: Final = ("push", "pop", "ack")
_CHUNK: Final = 1_000_000


class Insert(msgspec.Struct, frozen=True):
    """Cumulative counts of a server's insert latencies by upper bound in µs; the last cell may be open."""

    bounds_us: Sequence[float]
    counts: Sequence[int]


def flatten(answer: Any) -> dict[str, float | None] | None:
    """The figures of one JSON answer; None when it is not of a Queen."""
    if not isinstance(answer, dict) or not isinstance(answer.get("counters"), dict):
        return None
    pool, memory = _part(answer, "database"), _part(answer, "memory")
    opened, idle = _number(pool, "openConnections"), _number(pool, "idleConnections")
    cpu = [_number(_part(answer, "cpu"), kind) for kind in ("user", "system")]
    figures: dict[str, float | None] = {
        "pool_size": _number(pool, "poolSize"),
        "pool_in_use": opened - idle if opened is not None and idle is not None else None,
        "pool_waiting": _number(pool, "waitingRequests"),
        "rss_bytes": _number(memory, "rss"),
        "cpu_us": None if None in cpu else sum(part or 0 for part in cpu),
        "event_loop_lag_ms": _number(_part(answer, "eventLoop"), "lagMs"),
        "workers": _number(_part(answer, "workers"), "count"),
    }
    figures |= {f"counter.{name}": float(value) for name, value in answer["counters"].items()}
    flushes = _part(answer, "flushes")
    figures |= {f"flushes.{verb}": _number(_part(flushes, verb), "count") for verb in VERBS}
    pool_totals = {name: value for name, value in _part(answer, "pool").items() if name != "away"}
    return figures | {f"counter.pool_{name}": float(value) for name, value in pool_totals.items()}


def insert_of(answer: Any) -> Insert | None:
    """The insert histogram of one JSON answer, if it has one."""
    buckets = _part(_part(answer, "insert"), "buckets")
    bounds, counts = buckets.get("boundsUs"), buckets.get("counts")
    if not bounds or not counts or not len(bounds) <= len(counts) <= len(bounds) + 1:
        return None
    # Arrays: one read a second is kept, of a soak of hours too.
    return Insert(array("d", map(float, bounds)), array("q", map(int, counts)))


def since(later: Insert, earlier: Insert | None) -> Insert:
    """What was counted between two reads; all of it when the server started anew in between."""
    if earlier is None or sum(earlier.counts) > sum(later.counts):
        return later
    # A server leaves out empty cells at the end, so an earlier read may be shorter.
    pairs = zip_longest(earlier.counts, later.counts, fillvalue=0)
    return Insert(later.bounds_us, tuple(max(0, b - a) for a, b in pairs)[: len(later.counts)])


def plus(one: Insert, other: Insert) -> Insert:
    """Both together; they have the same bounds, of which each may leave out some at the end."""
    counts = tuple(a + b for a, b in zip_longest(one.counts, other.counts, fillvalue=0))
    return Insert(max(one.bounds_us, other.bounds_us, key=len), counts)


def add_to(histogram: LatencyHistogram, insert: Insert) -> None:
    """Record the counts, spread evenly over each cell."""
    low = 0.0
    pieces: list[npt.NDArray[np.int64]] = []
    bounds = [*insert.bounds_us, insert.bounds_us[-1]][: len(insert.counts)]
    for bound, count in zip(bounds, insert.counts, strict=True):
        for start in range(0, count, _CHUNK):
            places = (np.arange(start, min(start + _CHUNK, count)) + 0.5) / count
            pieces.append(np.rint(low + (bound - low) * places).astype(np.int64))
            if sum(piece.size for piece in pieces) >= _CHUNK:
                histogram.record_many_us(np.concatenate(pieces))
                pieces = []
        low = bound
    if pieces:
        histogram.record_many_us(np.concatenate(pieces))


def percentile_ms(insert: Insert, percent: float) -> float | None:
    """A percentile without a histogram in between, even within its cell; None when nothing was counted."""
    wanted = sum(insert.counts) * percent / 100
    if not wanted:
        return None
    low, below = 0.0, 0
    bounds = [*insert.bounds_us, insert.bounds_us[-1]][: len(insert.counts)]
    for bound, count in zip(bounds, insert.counts, strict=True):
        if count and below + count >= wanted:
            return (low + (bound - low) * (wanted - below) / count) / 1000
        low, below = bound, below + count
    return low / 1000


def together(figures: Sequence[float | None]) -> float | None:
    """The sum over servers of what is known."""
    known = [value for value in figures if value is not None]
    return sum(known) if known else None


def _part(answer: Any, name: str) -> Mapping[str, Any]:
    part = answer.get(name) if isinstance(answer, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _number(part: Mapping[str, Any], name: str) -> float | None:
    value = part.get(name)
    return float(value) if isinstance(value, int | float) else None
