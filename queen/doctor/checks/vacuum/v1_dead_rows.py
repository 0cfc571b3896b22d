"""V1: dead rows past the point where autovacuum should have come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.shared import TABLES
from queen.doctor.tables import options
from queen.store.inspect import Row

_ROWS_MIN: Final = 1000  # fewer dead rows cost no scan anything


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each table whose dead rows are past its own trigger."""
    limit = seen.limits["limit"]
    for row in seen.rows("tables"):
        trigger = _trigger(seen, row)
        ratio = row["n_dead_tup"] / max(trigger, 1.0)
        severity = limit.judge(ratio)
        if severity is None or row["n_dead_tup"] < _ROWS_MIN:
            continue
        yield Finding(
            severity,
            f"{row['name']}: {row['n_dead_tup']} dead rows, {ratio:.1f} × the point where autovacuum should come",
            {
                "dead_rows": row["n_dead_tup"],
                "live_rows": row["n_live_tup"],
                "trigger_rows": round(trigger),
                "vacuumed_s_ago": row["vacuumed_s_ago"],
            },
            "Vacuum the table now. If it comes back, see V3, V4, V7 and V8: settings, a held horizon, workers, delay.",
            object=row["name"],
            threshold=limit,
            fix=Fix("A", (f"VACUUM (ANALYZE) {row['name']}",), note="A vacuum has no way back and needs none."),
        )


def _trigger(seen: Seen, row: Row) -> float:
    """Dead rows at which autovacuum comes: threshold + scale factor × rows; from 18 on capped by the maximum."""
    own = options(row["reloptions"])
    settings = seen.facts.settings
    base = float(own.get("autovacuum_vacuum_threshold", settings.number("autovacuum_vacuum_threshold", 50)))
    scale = float(own.get("autovacuum_vacuum_scale_factor", settings.number("autovacuum_vacuum_scale_factor", 0.2)))
    most = float(own.get("autovacuum_vacuum_max_threshold", settings.number("autovacuum_vacuum_max_threshold", -1)))
    trigger = base + scale * max(row["reltuples"], 0)
    return float(min(trigger, most) if most >= 0 else trigger)


CHECK = Check(
    id="V1",
    group="vacuum",
    title="Dead rows past the autovacuum trigger",
    why="Looking for ready partitions walks dead index entries one by one, so every pop gets dearer.",
    false_positive="Just after a purge or a large delete, until autovacuum has come.",
    explain="""\
Each table has a number of dead rows at which autovacuum comes: autovacuum_vacuum_threshold plus
autovacuum_vacuum_scale_factor times its rows, the table's own storage options before the server's. This check divides
the dead rows that statistics know by that number.

A little above 1 for a moment is normal: autovacuum looks once in autovacuum_naptime. Three times the trigger means that
it does not come, or that it comes and cannot remove: then V4 names who holds the horizon.""",
    evaluate=evaluate,
    queries={"tables": TABLES},
    thresholds={"limit": Threshold(1.0, 3.0, "× the autovacuum trigger")},
    needs=(needs.schema, needs.primary),
)
