"""I3: an index that nobody has read for a week."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.indexing import drop, new_entries, wal_stake
from queen.doctor.manifest import ours
from queen.doctor.shared import INDEX_USE, INDEXES, TABLES, WAL_POSITION
from queen.errors import CannotLook
from queen.store.inspect import Row

_STANDBYS: Final = Query("SELECT count(*) AS standbys FROM pg_stat_replication")
_DAY_S: Final = 86_400.0


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each index that is large enough to matter and was not read for long enough. Raises CannotLook
    when the counters have not counted for that long."""
    days = seen.limits["limit"].warn or 0.0
    age = seen.facts.stats_age_s / _DAY_S
    if age < days:
        raise CannotLook(
            f"statistics are {age:.1f} days old; {days:.0f} are needed to call an index unused",
            hint="run it again later",
        )
    use = {row["name"]: row for row in seen.rows("use")}
    for row in seen.rows("indexes"):
        used = use.get(row["name"])
        if used is None or ours(row) or row["is_unique"] or row["is_identity"] or row["constraint_type"]:
            continue
        unused = _days_unused(used, age)
        if seen.limits["limit"].judge(unused) and seen.limits["size"].judge(used["bytes"] / (1 << 20)):
            yield _finding(seen, row, used, unused)


def _days_unused(used: Row, age: float) -> float:
    """For how long it was not read, as far as can be told; 0 when that cannot be told (it was read, before 16)."""
    if used["used_s_ago"] is not None:
        return float(used["used_s_ago"] / _DAY_S)
    return 0.0 if used["idx_scan"] else age


def _finding(seen: Seen, row: Row, used: Row, unused: float) -> Finding:
    entries = new_entries(seen, row["on_table"])
    standbys = seen.row("standbys")["standbys"]
    return Finding(
        "warn",
        f"{row['name']} was not read for {unused:.1f} days and takes {used['bytes'] / (1 << 20):.1f} MiB",
        {
            "scans": used["idx_scan"],
            "days_unused": round(unused, 2),
            "bytes": used["bytes"],
            "definition": row["definition"],
            "new_entries_in_window": entries,
            "standbys_not_looked_at": standbys,
        },
        ("First run this check on the standby too: it counts its own reads. Then drop it." if standbys else "Drop it."),
        object=row["name"],
        threshold=seen.limits["limit"],
        at_stake=wal_stake(seen, entries, used["width_bytes"] or 0.0),
        # The part of a partitioned index cannot go alone, and on a standby nothing can.
        fix=None if row["parent_index"] or seen.facts.in_recovery else drop(row, ()),
    )


CHECK = Check(
    id="I3",
    group="indexes",
    title="Unused indexes",
    why="Each index costs log and time with every message that is written to its table.",
    false_positive="An index for a yearly report, or one that only a standby reads.",
    explain="""\
PostgreSQL counts the reads of each index, and from 16 on notes the last one. An index is called unused when it was not
read for a week, is larger than 1 MiB, and neither Queen, nor uniqueness, nor a constraint needs it. Before 16 only an
index that was never read since the counters began can be told.

When the counters are younger than a week the check is skipped. A standby counts its own reads: run it there too.""",
    evaluate=evaluate,
    queries={
        "indexes": INDEXES,
        "use": INDEX_USE,
        "tables": TABLES,
        "standbys": _STANDBYS,
        "wal": WAL_POSITION,
    },
    thresholds={"limit": Threshold(7.0, None, "days"), "size": Threshold(1.0, None, "MiB")},
    needs=(needs.schema,),
    delta=True,
)
