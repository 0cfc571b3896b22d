"""I7: whole tables are read, again and again, where an index should answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Severity, Threshold
from queen.doctor.shared import TABLES
from queen.store.inspect import Row

_PASSES_MIN: Final = 1.9  # one may be a backup, or somebody who counts by hand


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each table of Queen's that was read from end to end more than once in the window."""
    for row in seen.changes("tables", "name", "seq_scan", "seq_tup_read"):
        rows = row["n_live_tup"]
        if seen.limits["rows"].judge(rows) is None:
            continue
        # Not the scans: each worker of a parallel scan counts as one.
        passes = row["seq_tup_read"] / rows
        severity = seen.limits["limit"].judge(60 * passes / seen.window_s)
        if severity is not None and passes >= _PASSES_MIN:
            yield _finding(seen, row, severity, passes)


def _finding(seen: Seen, row: Row, severity: Severity, passes: float) -> Finding:
    return Finding(
        severity,
        f"{row['name']} was read from end to end {passes:.1f} times in {seen.window_s:.1f} s",
        {
            "passes": round(passes, 2),
            "passes_per_min": round(60 * passes / seen.window_s, 1),
            "scans": row["seq_scan"],
            "rows_read": row["seq_tup_read"],
            "live_rows": row["n_live_tup"],
            "changed_since_analyze": row["n_mod_since_analyze"],
        },
        "See I5 for a missing index. If all are there, renew the table's statistics; if it goes on, S1 and"
        " pg_stat_statements name the statement, which may be one of your own.",
        object=row["name"],
        threshold=seen.limits["limit"],
        fix=Fix("A", (f"ANALYZE {row['name']}",), note="Statistics only; it has no way back and needs none."),
    )


CHECK = Check(
    id="I7",
    group="indexes",
    title="Sequential scans of large tables",
    why="The price of a pop must not depend on how many partitions or messages there are; a scan reads all of them.",
    false_positive="A report, a dump or an index being built: each of them reads tables from end to end.",
    explain="""\
No request of Queen's reads a whole table: its functions find rows by index. This check divides the
rows that sequential scans read in the window by the rows of the table: so often it was read from end to end. Tables of
less than 10 000 rows, and one pass alone, are not named.

Common reasons are a missing index, statistics that are far behind the table, and a query of somebody else, such as a
count(*) that a dashboard repeats.""",
    evaluate=evaluate,
    queries={"tables": TABLES},
    thresholds={"limit": Threshold(1.0, None, "passes a minute"), "rows": Threshold(10_000, None, "rows")},
    needs=(needs.schema,),
    delta=True,
)
