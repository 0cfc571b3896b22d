"""What pg_stat_statements counted inside a window: which statements took the time, and which wrote temporary files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from queen.doctor.check import Query, Seen
from queen.doctor.facts import Facts
from queen.doctor.system import with_library

NAME: Final = "pg_stat_statements"
BLOCK_BYTES: Final = 8192

COUNTED: Final = Query(
    """
SELECT s.queryid::text AS id, d.datname::text AS database, left(min(s.query), 300) AS query,
       sum(s.calls)::float8 AS calls, sum(s.total_exec_time) AS total_ms,
       sum(s.shared_blks_hit + s.shared_blks_read)::float8 AS blocks, sum(s.temp_blks_written)::float8 AS temp_blocks
  FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
 WHERE s.toplevel AND s.queryid IS NOT NULL
 GROUP BY s.queryid, d.datname
 ORDER BY sum(s.total_exec_time) DESC LIMIT 500
""",
    optional=True,
)
"""Totals of the 500 statements that took most time. No rows where the extension is missing, not loaded or too old."""

_COUNTERS: Final = ("calls", "total_ms", "blocks", "temp_blocks")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement inside the window. `share`: of the time of all statements, 0 to 1."""

    query: str
    database: str
    calls: float
    total_ms: float
    blocks: float
    temp_bytes: float
    share: float

    @property
    def mean_ms(self) -> float:
        """Milliseconds a call."""
        return self.total_ms / self.calls

    def shown(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "query": self.query,
            "database": self.database,
            "calls": int(self.calls),
            "mean_ms": round(self.mean_ms, 3),
            "total_ms": round(self.total_ms, 1),
            "share_pct": round(100 * self.share, 1),
            "blocks_per_call": round(self.blocks / self.calls, 1),
        }


def inside(seen: Seen, name: str = "counted") -> list[Statement]:
    """The statements that were called inside the window, those that took most time first."""
    rows = [row for row in seen.changes(name, ("id", "database"), *_COUNTERS) if row["calls"] > 0]
    whole = sum(row["total_ms"] for row in rows) or 1.0
    found = [
        Statement(
            query=" ".join(row["query"].split())[:160],
            database=row["database"],
            calls=row["calls"],
            total_ms=row["total_ms"],
            blocks=row["blocks"],
            temp_bytes=row["temp_blocks"] * BLOCK_BYTES,
            share=row["total_ms"] / whole,
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: -one.total_ms)


def slowest(found: Sequence[Statement]) -> list[Statement]:
    """By the time of one call."""
    return sorted(found, key=lambda one: -one.mean_ms)


def how_to_enable(facts: Facts) -> str | None:
    """What is missing for statements to be counted, in one sentence; None when nothing is."""
    loaded = facts.settings.text("shared_preload_libraries")
    if NAME not in loaded and facts.pg_monitor:  # others do not see the setting
        value = with_library(loaded, NAME)
        return (
            f"{NAME} is not loaded: ALTER SYSTEM SET shared_preload_libraries = {value}, restart PostgreSQL, "
            f"then CREATE EXTENSION {NAME}"
        )
    if NAME not in facts.extensions:
        return f"{NAME} is not created in this database: CREATE EXTENSION {NAME}"
    return None
