"""L5: one of the advisory locks by which Queen's maintenance takes turns is held for too long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix, Threshold

# The keys are those of queen/sql/functions and of queen/store/migrate and operate. Since when a lock is held is not
# known; a session that has been in its present state for so long has held it at least as long.
_HELD: Final = Query("""
WITH ours (what, subid, high, low) AS (
    SELECT k.what, 1, (k.key >> 32) & 4294967295, k.key & 4294967295
      FROM (VALUES ('upkeep', hashtextextended('queen migrate ' || {schema_name}, 0)),
                   ('enqueued', hashtextextended('queen enqueued ' || {schema_name}, 0))) k (what, key)
    UNION ALL
    SELECT 'statistics', 2, hashtext({schema_name})::bigint & 4294967295,
           hashtext('refresh_stats')::bigint & 4294967295
)
SELECT o.what, a.pid, a.application_name AS application, a.usename::text AS role, a.state,
       left(a.query, 200) AS statement,
       EXTRACT(epoch FROM clock_timestamp() - a.state_change)::float8 AS held_s,
       (SELECT count(*) FROM pg_locks w WHERE w.locktype = 'advisory' AND NOT w.granted AND w.database = l.database
           AND w.classid = l.classid AND w.objid = l.objid AND w.objsubid = l.objsubid) AS waiting
  FROM ours o
  JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.objsubid = o.subid
                 AND l.classid::bigint = o.high AND l.objid::bigint = o.low
                 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  JOIN pg_stat_activity a ON a.pid = l.pid
 ORDER BY held_s DESC
""")
_STANDS: Final = {
    "upkeep": "epochs are not opened, emptied or dropped, and no migration can run",
    "enqueued": "messages that SQL callers enqueued are not placed",
    "statistics": "numbers of queues and groups are not renewed",
}


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each holder."""
    for row in seen.rows("held"):
        severity = seen.limits["limit"].judge(row["held_s"] or 0.0)
        if severity is not None:
            yield Finding(
                severity,
                f"session {row['pid']} has held the lock of {row['what']} for {row['held_s']:.0f} s or more:"
                f" {_STANDS[row['what']]}",
                dict(row),
                "End its transaction, or the session, where it began. Through a transaction pooler a session lock may"
                " belong to nobody any more: end it here.",
                object=f"session {row['pid']}",
                threshold=seen.limits["limit"],
                fix=Fix("D", (f"SELECT pg_terminate_backend({int(row['pid'])})",), note="Its work is rolled back."),
            )


CHECK = Check(
    id="L5",
    group="locks",
    title="Advisory locks of Queen's maintenance",
    why="While one session holds such a lock nobody else does that work: the log is not rotated, and disks fill.",
    false_positive="A migration of a large schema, or one rewrite of a large child, that is still at work.",
    explain="""\
Queen's maintenance takes turns by advisory locks that end with a transaction: one for epochs and migrations, one for
placing what SQL callers enqueued, one for statistics. Each is held for moments.

The limit is ten leases of the leader, 50 s. Since when a lock is held cannot be asked; counted is how long the session
has been in its present state, which is a lower bound for one that is idle. Advisory locks of other programs are theirs
and are not looked at.""",
    evaluate=evaluate,
    queries={"held": _HELD},
    thresholds={"limit": Threshold(50.0, None, "s")},
    needs=(needs.schema, needs.monitor),
)
