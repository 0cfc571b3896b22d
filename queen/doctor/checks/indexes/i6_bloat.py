"""I6: indexes that are large against their table, and larger than they need to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.indexing import fresh_bytes
from queen.doctor.shared import INDEX_USE
from queen.store.inspect import Row

_MIB: Final = float(1 << 20)


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each table whose indexes outweigh it, if building them anew would make them much smaller."""
    tables: dict[str, list[Row]] = {}
    for row in seen.rows("use"):
        tables.setdefault(row["on_table"], []).append(row)
    for table, indexes in tables.items():
        size = sum(row["bytes"] for row in indexes)
        severity = seen.limits["limit"].judge(size / max(indexes[0]["heap_bytes"], 8192))
        bloated = [row for row in indexes if _is_bloated(seen, row)]
        if severity is not None and bloated:
            yield Finding(
                severity,
                f"{table}: {size / _MIB:.1f} MiB of indexes on {indexes[0]['heap_bytes'] / _MIB:.1f} MiB of rows",
                {
                    "index_bytes": size,
                    "heap_bytes": indexes[0]["heap_bytes"],
                    "bloated": {
                        row["name"]: {"bytes": row["bytes"], "fresh_bytes": round(fresh_bytes(row))} for row in bloated
                    },
                },
                "Build the bloated ones anew. If that happens again soon, find out why vacuum comes late: V1, V4, V7.",
                object=table,
                threshold=seen.limits["limit"],
                fix=Fix("A", tuple(f"REINDEX INDEX CONCURRENTLY {row['name']}" for row in bloated)),
            )


def _is_bloated(seen: Seen, row: Row) -> bool:
    """Large, and much larger than if it was built now."""
    if row["entries"] is None or seen.limits["size"].judge(row["bytes"] / _MIB) is None:
        return False
    return seen.limits["bloat"].judge(row["bytes"] / fresh_bytes(row)) is not None


CHECK = Check(
    id="I6",
    group="indexes",
    title="Bloated indexes",
    why="Look-ups walk more pages, of which fewer fit in memory, and every checkpoint writes more full pages.",
    false_positive="Right after a large delete on a table that will soon be as large again.",
    explain="""\
Compared are the bytes of a table's indexes with those of the table. Narrow rows with long keys have a high ratio from
birth, so a table is named only when one of its indexes is also three times as large as it would be if it was built now,
by the number of its entries and the width that statistics give its key, and at least 8 MiB.

A B-tree does not give pages back that became half empty. REINDEX CONCURRENTLY builds it anew while others write; it
needs the space of the new index meanwhile. Short names of partitions and short transaction ids make keys narrower.""",
    evaluate=evaluate,
    queries={"use": INDEX_USE},
    thresholds={
        "limit": Threshold(1.5, 3.0, "× the bytes of the table"),
        "bloat": Threshold(3.0, None, "× a fresh index"),
        "size": Threshold(8.0, None, "MiB"),
    },
    needs=(needs.schema, needs.primary),
)
