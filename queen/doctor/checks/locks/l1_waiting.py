"""L1: sessions wait for a lock, and who holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.store.inspect import Row

# One row per waiting session and session before it. A session waits for one lock at a time. Of a prepared transaction
# there is no session: its number is 0.
_WAITING: Final = Query("""
SELECT a.pid, a.application_name AS application, a.usename::text AS role, left(a.query, 200) AS statement,
       l.locktype, l.mode,
       CASE WHEN c.oid IS NOT NULL THEN format('%I.%I', n.nspname, c.relname) END AS relation,
       EXTRACT(epoch FROM clock_timestamp() - coalesce(l.waitstart, a.query_start))::float8 AS waiting_s,
       by.pid AS blocker, b.application_name AS blocker_application, b.usename::text AS blocker_role,
       b.state AS blocker_state, left(b.query, 200) AS blocker_statement,
       EXTRACT(epoch FROM clock_timestamp() - b.xact_start)::float8 AS blocker_transaction_s
  FROM pg_locks l
  JOIN pg_stat_activity a ON a.pid = l.pid
  JOIN LATERAL unnest(pg_blocking_pids(a.pid)) by (pid) ON true
  LEFT JOIN pg_stat_activity b ON b.pid = by.pid
  LEFT JOIN pg_class c ON c.oid = l.relation
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT l.granted AND a.datname = current_database()
 ORDER BY waiting_s DESC, a.pid, by.pid
""")


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each session that holds others up and waits for nobody itself, with all who stand behind it."""
    rows = seen.rows("waiting")
    waiting = {row["pid"] for row in rows}
    behind: dict[int, list[Row]] = {}
    for row in rows:
        if row["blocker"] not in waiting:
            behind.setdefault(row["blocker"], []).append(row)
    for blocker, first in behind.items():
        everyone = _everyone_behind(blocker, rows)
        longest = max(row["waiting_s"] for row in everyone)
        severity = seen.limits["limit"].judge(longest)
        if severity is not None:
            yield Finding(
                severity,
                f"{len(everyone)} session(s) wait for up to {longest:.1f} s behind {_name(first[0])}",
                _evidence(first[0], everyone),
                _remedy(first[0]),
                object=f"session {blocker}" if blocker else "prepared transaction",
                threshold=seen.limits["limit"],
                at_stake=stake.wait_share(seen.waits.share("Lock")),
                fix=_fix(first[0]),
            )


def _everyone_behind(blocker: int, rows: Sequence[Row]) -> list[Row]:
    """One row for each session that waits for this one, or for somebody who does."""
    found: dict[int, Row] = {}
    ahead = {blocker}
    while True:
        new = {row["pid"]: row for row in rows if row["blocker"] in ahead and row["pid"] not in found}
        if not new:
            return list(found.values())
        found |= new
        ahead = set(new)


def _evidence(blocker: Row, everyone: Sequence[Row]) -> dict[str, object]:
    kept = ("pid", "application", "waiting_s", "locktype", "mode", "relation", "statement")
    return {
        "waiting": len(everyone),
        "blocker": {
            "pid": blocker["blocker"],
            "application": blocker["blocker_application"],
            "role": blocker["blocker_role"],
            "state": blocker["blocker_state"],
            "transaction_s": blocker["blocker_transaction_s"],
            "statement": blocker["blocker_statement"],
        },
        "longest": {name: everyone[0][name] for name in kept},
    }


def _name(row: Row) -> str:
    if not row["blocker"]:
        return "a prepared transaction"
    statement = " ".join((row["blocker_statement"] or "").split())
    return f"{row['blocker_application'] or 'session'} {row['blocker']} ({row['blocker_state']}): {statement[:60]}"


def _remedy(row: Row) -> str:
    if not row["blocker"]:
        return "Find it in pg_prepared_xacts, and COMMIT PREPARED or ROLLBACK PREPARED it."
    if row["blocker_state"] == "active":
        return "Let it end, or cancel its statement. DDL beside a running queue: set lock_timeout, and try again."
    return "End that transaction where it began. Against the next one: idle_in_transaction_session_timeout on its role."


def _fix(row: Row) -> Fix | None:
    if not row["blocker"]:
        return None
    if row["blocker_state"] == "active":
        return Fix("D", (f"SELECT pg_cancel_backend({int(row['blocker'])})",), note="Its statement is rolled back.")
    return Fix("D", (f"SELECT pg_terminate_backend({int(row['blocker'])})",), note="The session's work is rolled back.")


CHECK = Check(
    id="L1",
    group="locks",
    title="Sessions wait for a lock",
    why="A push that waits for a lock keeps its connection and its lane: all that arrives behind it waits too.",
    false_positive="A migration, or another change of the schema, that ends by itself.",
    explain="""\
Listed are the sessions that hold others up and wait for nobody themselves, each with the number that stands behind it,
directly or in a row, and the one that has waited longest. The waiting time is that of the lock, not of the statement.

Often the culprit is a session that is idle in a transaction: it holds all locks that it ever took in it. An exclusive
lock that is waited for makes everybody behind it wait too, so a harmless ALTER TABLE behind one long SELECT stops a
queue. A prepared transaction holds locks without a session.

The repair cancels the statement of a session that works, and ends one that is idle in its transaction.""",
    evaluate=evaluate,
    queries={"waiting": _WAITING},
    thresholds={"limit": Threshold(1.0, 10.0, "s")},
    needs=(needs.monitor,),
)
