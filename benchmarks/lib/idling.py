"""Windows in which nothing should happen: statements a second, shares of a core, memory.

Statements of the meter's own session are told apart by reading twice in a row before the window.
"""

from __future__ import annotations

import time

import msgspec

from benchmarks.lib.measure import Meters
from benchmarks.lib.plan import Latency
from benchmarks.lib.pollers import Pollers
from benchmarks.lib.postgres import PgCounters, PgMeter
from benchmarks.lib.record import Record
from benchmarks.lib.text import align, number, verdict_line


class IdleWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are of one core. `statements_per_s` and `writes_per_s` are exact, the meter's own left out;
    `commits_per_s` counts reading transactions too and is handed over late by PostgreSQL. `renewed` polls ended and
    were sent again."""

    name: str
    seconds: float
    polls: int
    statements_per_s: float | None
    commits_per_s: float | None
    writes_per_s: float | None
    server_share: float | None
    postgres_share: float | None
    generator_share: float | None
    server_rss_bytes: int | None
    renewed: int


class IdleRecord(Record, frozen=True, kw_only=True):
    """The record of the command. `wake` is from a push written to the poll answered."""

    polls: int
    windows: list[IdleWindow]
    wake: Latency | None


class Reader:
    """Measures windows on one server."""

    def __init__(self, meters: Meters, pg: PgMeter | None) -> None:
        self._meters = meters
        self._pg = pg

    def window(self, name: str, seconds: float, pollers: Pollers | None) -> IdleWindow:
        own, before_pg = self._read_twice()
        before, counters = self._meters.cpu(), pollers.read() if pollers else None
        clock = time.monotonic()
        time.sleep(seconds)
        after, counters_after = self._meters.cpu(), pollers.read() if pollers else None
        after_pg = self._pg.read() if self._pg else None
        took = time.monotonic() - clock
        generator = counters_after.cpu_s - counters.cpu_s if counters and counters_after else None
        return IdleWindow(
            name=name,
            seconds=took,
            polls=pollers.polls if pollers else 0,
            statements_per_s=_rate(before_pg, after_pg, own, "statements", took),
            commits_per_s=_rate(before_pg, after_pg, own, "commits", took),
            writes_per_s=_rate(before_pg, after_pg, None, "writes", took),
            server_share=_share(before.server_s, after.server_s, took),
            postgres_share=_share(before.postgres_s, after.postgres_s, took),
            generator_share=None if generator is None else generator / took,
            server_rss_bytes=self._meters.server_rss_bytes(),
            renewed=counters_after.renewed - counters.renewed if counters and counters_after else 0,
        )

    def _read_twice(self) -> tuple[PgCounters | None, PgCounters | None]:
        """Two readings with nothing between them but the first one's own statements."""
        return (self._pg.read(), self._pg.read()) if self._pg else (None, None)


def _rate(
    before: PgCounters | None, after: PgCounters | None, own: PgCounters | None, name: str, seconds: float
) -> float | None:
    if before is None or after is None or getattr(before, name) is None:
        return None
    reading = getattr(before, name) - getattr(own, name) if own is not None and getattr(own, name) is not None else 0
    return max(0.0, float(getattr(after, name) - getattr(before, name) - reading) / seconds)


def _share(before: float | None, after: float | None, seconds: float) -> float | None:
    return None if before is None or after is None else (after - before) / seconds


def table(record: IdleRecord) -> str:
    head = [
        "window",
        "s",
        "polls",
        "renewed",
        "statements/s",
        "writes/s",
        "daemon",
        "PG",
        "generator",
        "daemon RSS MiB",
    ]
    rows = [head, *(_row(window) for window in record.windows)]
    lines = [*align(rows), "shares are of one core"]
    if record.wake:
        wake = record.wake
        lines.append(
            f"push to one queue → its poll answered: {wake.count} times, "
            f"p50 {wake.p50_ms:.2f} ms, p99 {wake.p99_ms:.2f} ms, most {wake.max_ms:.2f} ms"
        )
    lines += [f"PROBLEM: {problem}" for problem in record.problems]
    lines.append(verdict_line(record.valid))
    return "\n".join(lines)


def _row(window: IdleWindow) -> list[str]:
    rss = None if window.server_rss_bytes is None else window.server_rss_bytes / (1 << 20)
    return [
        window.name,
        number(window.seconds, 0),
        f"{window.polls:,}",
        f"{window.renewed:,}",
        number(window.statements_per_s, 2),
        number(window.writes_per_s, 2),
        *(_percent(share) for share in (window.server_share, window.postgres_share, window.generator_share)),
        number(rss, 0),
    ]


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{share:.1%}"
