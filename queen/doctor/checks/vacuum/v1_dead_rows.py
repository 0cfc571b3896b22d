"""V1: dead rows past the point where autovacuum should have come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.dearer import CALLS, by_reading_more
from queen.doctor.facts import ServerSettings
from queen.doctor.finding import Finding, Fix, Severity, Threshold
from queen.doctor.shared import TABLES
from queen.doctor.tables import options
from queen.store.inspect import Row

_ROWS_MIN: Final = 1000  # fewer dead rows cost no scan anything


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each table whose dead rows are past its own trigger, and for longer than autovacuum needs."""
    limit = seen.limits["limit"]
    before = {row["relid"]: row for row in seen.first["tables"]}
    for row in seen.rows("tables"):
        late = row["n_dead_tup"] - _lately(seen, before.get(row["relid"]), row)
        trigger = trigger_of(seen.facts.settings, row)
        severity = limit.judge(late / max(trigger, 1.0))
        if severity is not None and late >= _ROWS_MIN:
            yield _finding(seen, row, severity, trigger, late)


def trigger_of(settings: ServerSettings, row: Row) -> float:
    """Dead rows at which autovacuum comes: threshold + scale factor × rows; from 18 on capped by the maximum. `row`: a
    table with its reloptions and reltuples."""
    own = options(row["reloptions"])
    base = float(own.get("autovacuum_vacuum_threshold", settings.number("autovacuum_vacuum_threshold", 50)))
    scale = float(own.get("autovacuum_vacuum_scale_factor", settings.number("autovacuum_vacuum_scale_factor", 0.2)))
    most = float(own.get("autovacuum_vacuum_max_threshold", settings.number("autovacuum_vacuum_max_threshold", -1)))
    trigger = base + scale * max(row["reltuples"], 0)
    return float(min(trigger, most) if most >= 0 else trigger)


def _lately(seen: Seen, before: Row | None, row: Row) -> float:
    """How many of the dead rows are no reproach: at the rate of the window they died since the last vacuum, or within
    the time that autovacuum is given."""
    if before is None or seen.window_s <= 0:
        return 0.0
    if _vacuums(before) == _vacuums(row):
        died = row["n_dead_tup"] - before["n_dead_tup"]  # what pages prune by themselves is taken off already
    else:
        died = row["n_tup_upd"] + row["n_tup_del"] - before["n_tup_upd"] - before["n_tup_del"]
    patience = seen.limits["patience"].warn or 0.0
    since = row["vacuumed_s_ago"]
    return float(max(0.0, died / seen.window_s) * min(patience if since is None else since, patience))


def _vacuums(row: Row) -> int:
    return int(row["vacuum_count"] + row["autovacuum_count"])


def _finding(seen: Seen, row: Row, severity: Severity, trigger: float, late: float) -> Finding:
    ratio = row["n_dead_tup"] / max(trigger, 1.0)
    return Finding(
        severity,
        f"{row['name']}: {row['n_dead_tup']} dead rows, {ratio:.1f} × the point where autovacuum should come",
        {
            "dead_rows": row["n_dead_tup"],
            "live_rows": row["n_live_tup"],
            "trigger_rows": round(trigger),
            "dead_for_long_rows": round(late),
            "vacuumed_s_ago": row["vacuumed_s_ago"],
        },
        "Vacuum the table now. If it comes back, see V3, V4, V7 and V8: settings, a held horizon, workers, delay.",
        object=row["name"],
        threshold=seen.limits["limit"],
        at_stake=by_reading_more(seen),
        fix=Fix("A", (f"VACUUM (ANALYZE) {row['name']}",), note="A vacuum has no way back and needs none."),
    )


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

A busy table is past its trigger all the time, because autovacuum looks once in autovacuum_naptime only. So rows that
died lately do not count: from the growth within the window, the check takes off what must have died since the last
vacuum, or within the "patience" of five minutes. What is left has been dead for longer: either autovacuum does not
come, or it comes and cannot remove. Then V4 names who holds the horizon.

At stake is what S1 finds: calls that read more than in the days before and take longer for it.""",
    evaluate=evaluate,
    queries={"tables": TABLES, **CALLS},
    thresholds={
        "limit": Threshold(1.0, 3.0, "× the autovacuum trigger"),
        "patience": Threshold(300, None, "s that autovacuum is given"),
    },
    needs=(needs.schema, needs.primary),
    delta=True,
)
