"""V4: something holds the xmin horizon, so that no vacuum removes what died since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.dearer import CALLS, by_reading_more
from queen.doctor.finding import NO_STAKE, Finding, Fix, Severity, Threshold
from queen.doctor.shared import TABLES
from queen.doctor.system import literal
from queen.doctor.tables import VACUUM_AT
from queen.store.inspect import Row

# One list of everything that can hold the horizon of this database. A transaction that has written holds it by its own
# number, also when it has no snapshot. Sessions of other databases do not hold back our tables, nor does a plain
# VACUUM; a walsender appears as its standby or slot, a parallel worker as its leader.
_HOLDERS = """
SELECT 'session' AS kind, a.pid::text AS who, greatest(age(a.backend_xmin), age(a.backend_xid)) AS xids, a.state,
       left(a.query, 80) AS what, EXTRACT(epoch FROM clock_timestamp() - a.xact_start)::float8 AS held_s,
       a.application_name, a.usename::text AS role, 'tables' AS holds
  FROM pg_stat_activity a
 WHERE (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND a.pid <> pg_backend_pid()
   AND a.datname = current_database() AND a.backend_type <> 'walsender'
   AND (a.leader_pid IS NULL OR a.leader_pid = a.pid)
   AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid)
UNION ALL
SELECT 'slot', slot_name::text, age(coalesce(xmin, catalog_xmin)),
       CASE WHEN active THEN 'active' ELSE 'inactive' END, slot_type, {inactive}, NULL, NULL,
       CASE WHEN xmin IS NULL THEN 'catalogs' ELSE 'tables' END
  FROM pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
UNION ALL
SELECT 'prepared', gid, age(transaction), NULL, NULL, EXTRACT(epoch FROM clock_timestamp() - prepared)::float8, NULL,
       owner::text, 'tables'
  FROM pg_prepared_xacts WHERE database = current_database()
UNION ALL
SELECT 'standby', coalesce(nullif(application_name, ''), pid::text), age(backend_xmin), state, NULL, NULL,
       application_name, usename::text, 'tables'
  FROM pg_stat_replication WHERE backend_xmin IS NOT NULL
ORDER BY xids DESC NULLS LAST
"""
_BEFORE_17: Final = _HOLDERS.replace("{inactive}", "NULL::float8")
_SINCE_17: Final = _HOLDERS.replace("{inactive}", "EXTRACT(epoch FROM clock_timestamp() - inactive_since)::float8")


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each holder that is too old, by time or by transactions."""
    dead = {row["name"]: row["n_dead_tup"] for row in seen.rows("tables") if row["relname"] in VACUUM_AT}
    for row in seen.rows("holders"):
        severity = _severity(seen, row)
        if severity is not None:
            yield _finding(seen, row, severity, dead)


def _severity(seen: Seen, row: Row) -> Severity | None:
    by_time = seen.limits["limit"].judge(row["held_s"] or 0.0)
    by_xids = seen.limits["xids"].judge(row["xids"] or 0)
    if row["holds"] == "catalogs":  # dead rows of Queen's tables can go
        return "warn" if by_time or by_xids else None
    return "crit" if "crit" in (by_time, by_xids) else by_time or by_xids


def _finding(seen: Seen, row: Row, severity: Severity, dead: Mapping[str, int]) -> Finding:
    held = f"for {row['held_s']:.0f} s, " if row["held_s"] else ""
    of = "of the system catalogs " if row["holds"] == "catalogs" else ""
    by_time = seen.limits["limit"].judge(row["held_s"] or 0.0) is not None
    shown = ("kind", "who", "held_s", "xids", "holds", "state", "application_name", "role", "what")
    return Finding(
        severity,
        f"{row['kind']} {row['who']} holds the xmin horizon {of}{held}{row['xids']} transactions back",
        {**{name: row[name] for name in shown}, "dead_rows": {name: rows for name, rows in dead.items() if rows}},
        _REMEDIES[row["kind"]],
        object=f"{row['kind']} {row['who']}",
        threshold=seen.limits["limit" if by_time else "xids"],
        at_stake=by_reading_more(seen) if row["holds"] == "tables" else NO_STAKE,
        fix=_fix(row),
    )


_REMEDIES: Final = {
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
        drop = f"SELECT pg_drop_replication_slot({literal(row['who'])})"
        return Fix("D", (drop,), note="Its consumer has to start anew.")
    if row["kind"] == "prepared":
        note = "Its work is lost: ask its transaction manager first, which may want COMMIT PREPARED."
        return Fix("D", (f"ROLLBACK PREPARED {literal(row['who'])}",), note=note)
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
all four with the age of what they hold, in transactions and, where known, in seconds. A session that has written holds
the horizon by its transaction's own number, also while it has no snapshot. Sessions of other databases and running
vacuums do not hold it and are left out. A logical slot holds the system catalogs only, so it never gets critical here;
the log that it keeps is looked at by W6.

Queen's small tables are updated thousands of times a second, so a snapshot held for a minute leaves hundreds of
thousands of dead versions; the evidence has the dead rows of these tables now. At stake is what S1 finds: calls that
read more than in the days before and take longer for it.""",
    evaluate=evaluate,
    queries={"holders": Query(_BEFORE_17, {170000: _SINCE_17}, once=True), "tables": TABLES, **CALLS},
    thresholds={"limit": Threshold(60, 600, "s"), "xids": Threshold(100_000, 1_000_000, "transactions")},
    needs=(needs.monitor,),
    delta=True,
)
