"""I7: whole tables are read, again and again, where an index should answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.shared import TABLES

_SCANS_MIN: Final = 2  # one may be a backup, or somebody who counts by hand


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each table of Queen's that was read from end to end in the window."""
    for row in seen.changes("tables", "name", "seq_scan", "seq_tup_read"):
        scans = row["seq_scan"]
        if scans < _SCANS_MIN:
            continue
        per_minute = 60 * scans / seen.window_s
        rows = row["seq_tup_read"] / scans
        severity = seen.limits["limit"].judge(per_minute)
        if severity is not None and seen.limits["rows"].judge(rows):
            yield Finding(
                severity,
                f"{row['name']} was read from end to end {scans} times in {seen.window_s:.1f} s, {rows:.0f} rows each",
                {
                    "scans": scans,
                    "scans_per_min": round(per_minute, 1),
                    "rows_each": round(rows),
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
No request of Queen's reads a whole table: its functions find rows by index. This check counts sequential scans in the
window that read 10 000 rows or more each, and names tables where there were at least two of them.

Common reasons are a missing index, statistics that are far behind the table, and a query of somebody else, such as a
count(*) that a dashboard repeats.""",
    evaluate=evaluate,
    queries={"tables": TABLES},
    thresholds={"limit": Threshold(1.0, None, "scans a minute"), "rows": Threshold(10_000, None, "rows a scan")},
    needs=(needs.schema,),
    delta=True,
)
