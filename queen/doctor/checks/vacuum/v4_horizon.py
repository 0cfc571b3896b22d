"""V4: something holds the xmin horizon, so that no vacuum removes what died since."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import NO_STAKE, Finding, Fix, Severity, Threshold
from queen.store.inspect import Row

# One list of everything that can hold the horizon.
_HOLDERS = """
SELECT 'session' AS kind, pid::text AS who, age(backend_xmin) AS xids, state, left(query, 80) AS what,
       EXTRACT(epoch FROM clock_timestamp() - xact_start)::float8 AS held_s, application_name, usename::text AS role
  FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND backend_type <> 'walsender'
UNION ALL
SELECT 'slot', slot_name::text, greatest(age(xmin), age(catalog_xmin)),
       CASE WHEN active THEN 'active' ELSE 'inactive' END, slot_type, NULL, NULL, NULL
  FROM pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
UNION ALL
SELECT 'prepared', gid, age(transaction), NULL, NULL, EXTRACT(epoch FROM clock_timestamp() - prepared)::float8, NULL,
       owner::text
  FROM pg_prepared_xacts WHERE database = current_database()
UNION ALL
SELECT 'standby', application_name, age(backend_xmin), state, NULL, NULL, application_name, usename::text
  FROM pg_stat_replication WHERE backend_xmin IS NOT NULL
ORDER BY xids DESC NULLS LAST
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each holder that is too old, by time or by transactions."""
    for row in seen.rows("holders"):
        severity = _severity(seen, row)
        if severity is not None:
            yield _finding(seen, row, severity)


def _severity(seen: Seen, row: Row) -> Severity | None:
    by_time = seen.limits["limit"].judge(row["held_s"] or 0.0)
    by_xids = seen.limits["xids"].judge(row["xids"] or 0)
    return "crit" if "crit" in (by_time, by_xids) else by_time or by_xids


def _finding(seen: Seen, row: Row, severity: Severity) -> Finding:
    held = f"for {row['held_s']:.0f} s, " if row["held_s"] else ""
    return Finding(
        severity,
        f"{row['kind']} {row['who']} holds the xmin horizon {held}{row['xids']} transactions back",
        {name: row[name] for name in ("kind", "who", "held_s", "xids", "state", "application_name", "role", "what")},
        _REMEDIES[row["kind"]],
        object=f"{row['kind']} {row['who']}",
        threshold=seen.limits["limit"],
        at_stake=NO_STAKE,
        fix=_fix(row),
    )


_REMEDIES = {
    "session": "End that transaction where it began; keep it from coming back with "
    "idle_in_transaction_session_timeout and statement_timeout on its role.",
    "slot": "Start its consumer again, or drop the slot if nobody reads it.",
    "prepared": "COMMIT PREPARED or ROLLBACK PREPARED it, as its transaction manager would.",
    "standby": "Let the standby's long query end, or turn off hot_standby_feedback there.",
}


def _fix(row: Row) -> Fix | None:
    if row["kind"] == "session":
        return Fix("D", (f"SELECT pg_terminate_backend({int(row['who'])})",), note="The session's work is rolled back.")
    if row["kind"] == "slot" and row["state"] == "inactive":
        name = row["who"].replace("'", "''")
        return Fix("D", (f"SELECT pg_drop_replication_slot('{name}')",), note="Its consumer has to start anew.")
    return None


CHECK = Check(
    id="V4",
    group="vacuum",
    title="The xmin horizon is held",
    why="No vacuum helps while it is held: dead versions of small rows pile up and every look-up walks them.",
    false_positive="A base backup or pg_dump that ends soon.",
    explain="""\
Vacuum removes a dead row only when no snapshot may still need it. The oldest snapshot is held by one of four: a session
in a transaction, a replication slot, a prepared transaction, or a standby with hot_standby_feedback. This check lists
all four with the age of what they hold, in transactions and, where known, in seconds.

Queen's small tables are updated thousands of times a second, so a snapshot held for a minute leaves hundreds of
thousands of dead versions. The throughput at stake is not modelled here: S1 and L4 show it once it is felt.""",
    evaluate=evaluate,
    queries={"holders": Query(_HOLDERS)},
    thresholds={"limit": Threshold(60, 600, "s"), "xids": Threshold(100_000, 1_000_000, "transactions")},
    needs=(needs.monitor,),
)
