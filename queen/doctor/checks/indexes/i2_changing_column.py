"""I2: an index on a column that Queen updates all the time, so that no update of its table is HOT."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding
from queen.doctor.indexing import drop, wal_stake
from queen.doctor.shared import INDEXES, TABLES, WAL_POSITION
from queen.store.inspect import Row

CHANGING: Final[Mapping[str, frozenset[str]]] = {
    "partitions": frozenset(
        {"next_offset", "first_offset", "epoch_first_offset", "last_write_at", "epoch", "first_at"}
    ),
    "cursors": frozenset(
        {"acked", "acked_was", "lease_end", "lease_until", "lease_id", "epoch", "deliveries", "retries"}
    ),
    "instances": frozenset({"seen_at"}),
    "leader": frozenset({"instance_id", "lease_until"}),
    "counters": frozenset({"next_id"}),
    "scheduled_places": frozenset({"next_place"}),
    "trace_names": frozenset({"last_seen", "traces", "messages"}),
}
"""The columns that Queen's functions update while messages flow, by table."""

SUMMARY_SINCE: Final = 160000  # from here on a BRIN index leaves updates HOT
_KEY_BYTES: Final = 8.0


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each index that an update of the queue has to follow."""
    for row in seen.rows("indexes"):
        found = sorted(CHANGING.get(row["table_name"], frozenset()) & set(row["columns"]))
        if found and not (row["method"] == "brin" and seen.facts.version >= SUMMARY_SINCE):
            yield _finding(seen, row, found)


def _finding(seen: Seen, row: Row, found: list[str]) -> Finding:
    table = next((t for t in seen.changes("tables", "name", "n_tup_upd", "n_tup_hot_upd") if _same(t, row)), None)
    updates = table["n_tup_upd"] if table else 0
    cold = updates - table["n_tup_hot_upd"] if table else 0
    others = sum(1 for other in seen.rows("indexes") if other["on_table"] == row["on_table"])
    return Finding(
        "warn",
        f"{row['name']} indexes {', '.join(found)} of {row['on_table']}, which changes with every message",
        {
            "columns": found,
            "definition": row["definition"],
            "updates_in_window": updates,
            "hot_pct": round(100 * (updates - cold) / updates, 1) if updates else None,
            "indexes_written_by_each": others,
        },
        "Drop it. A query of yours that needs it can read a replica, or an index on columns that do not change.",
        object=row["name"],
        # Without it an update is HOT: it writes to no index at all.
        at_stake=wal_stake(seen, cold * others, _KEY_BYTES),
        fix=None if row["constraint_type"] else drop(row, (), "Queries that used it will be slower."),
    )


def _same(table: Row, row: Row) -> bool:
    return bool(table["name"] == row["on_table"])


CHECK = Check(
    id="I2",
    group="indexes",
    title="Indexes on columns that change",
    why="An update of an indexed column is never HOT: it writes every index of the table, and leaves dead entries.",
    false_positive="An index that was added for an investigation and goes away again.",
    explain="""\
Queen keeps its progress in small rows that are updated all the time: partitions and cursors, and a few more. No index
of its own has one of their changing columns, so these updates are HOT: they stay in their page and write no index.

One index on such a column, also in its condition, an expression or INCLUDE, ends that for every update of the table. In
a measurement an update wrote 546 bytes of log with such an index and 343 without. From PostgreSQL 16 on a BRIN index
does no harm of this kind.

The remedy is to drop the index. Its definition is kept for the way back.""",
    evaluate=evaluate,
    queries={"indexes": INDEXES, "tables": TABLES, "wal": WAL_POSITION},
    needs=(needs.schema,),
    delta=True,
)
