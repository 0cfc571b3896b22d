"""Storage parameters of Queen's tables, by kind. Pure.

A threshold of its own and no scale factor: a fifth of a large table would be far too late. Most of it stands in the
schema (queen/sql/tables) already; this is the whole of it, so that a plan also mends what somebody changed.
"""

from __future__ import annotations

from typing import Final

from queen.tune.figures import FILLFACTORS, HOT, THRESHOLDS
from queen.tune.lines import TableLine

_OFTEN = "a count of dead rows, and not a share of the table, decides"
_NO_PAUSE = "its vacuum never sleeps: the table is small and always in use"
_ROOM = "a part of each page is free, so that a row changes in place and no index is written"
_KEEP = "giving space back takes a lock that every push and pop would wait for"
_TOLD = "a vacuum over a second here is seen in the log"

_MESSAGES: Final = (
    ("autovacuum_vacuum_insert_scale_factor", "0.5", "messages are only added: few passes mark their pages as visible"),
    ("autovacuum_analyze_scale_factor", "0.2", "statistics again when a fifth is new"),
)


def table_lines() -> list[TableLine]:
    """Every parameter, table by table."""
    lines = [TableLine("messages", *entry) for entry in _MESSAGES]
    for table in THRESHOLDS:
        lines += [TableLine(table, *entry) for entry in _of(table)]
    return lines


def _of(table: str) -> list[tuple[str, str, str]]:
    entries = [
        ("autovacuum_vacuum_scale_factor", "0", _OFTEN),
        ("autovacuum_vacuum_threshold", str(THRESHOLDS[table]), _OFTEN),
        ("autovacuum_vacuum_cost_delay", "0", _NO_PAUSE),
        ("vacuum_truncate", "off", _KEEP),
    ]
    if table in FILLFACTORS:
        entries.insert(0, ("fillfactor", str(FILLFACTORS[table]), _ROOM))
    if table in HOT:
        entries.append(("log_autovacuum_min_duration", "1000", _TOLD))
    return entries
