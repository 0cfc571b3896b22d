"""C8: sessions that are opened and closed all the time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.store.inspect import Row

SESSIONS_MIN: Final = 10
"""In the window: a deployment opens a few at once, which is no rate."""
_COUNTS = """
SELECT datname::text AS database, sessions, sessions_abandoned, sessions_fatal, sessions_killed
  FROM pg_stat_database WHERE datname IS NOT NULL
"""
_YOUNG = """
SELECT coalesce(usename::text, '') AS role, coalesce(application_name, '') AS application, datname::text AS database,
       count(*)::int AS sessions
  FROM pg_stat_activity
 WHERE backend_start > clock_timestamp() - interval '10 seconds' AND pid <> pg_backend_pid() AND datname IS NOT NULL
 GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2 LIMIT 5
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each database in which sessions come and go."""
    counters = ("sessions", "sessions_abandoned", "sessions_fatal", "sessions_killed")
    for row in seen.changes("counts", "database", *counters):
        rate = row["sessions"] / max(seen.window_s, 0.001)
        severity = seen.limits["limit"].judge(rate)
        if severity is None or row["sessions"] < SESSIONS_MIN:
            continue
        yield Finding(
            severity,
            f"{rate:.0f} new sessions a second in database {row['database']}",
            {
                "sessions": row["sessions"],
                "window_s": round(seen.window_s, 1),
                **{name: row[name] for name in counters[1:]},
                "young": _young(seen, row["database"]),
            },
            "Let that client keep its connections: a pool in the program, or PgBouncer in between. Each new session"
            " costs PostgreSQL a process, some milliseconds of processor time, and the caches of the old one.",
            object=row["database"],
            threshold=seen.limits["limit"],
        )


def _young(seen: Seen, database: str) -> list[Row]:
    """Sessions that were young at either look; those that came and went between the two nobody saw."""
    found: dict[tuple[str, str], Row] = {}
    for row in (*seen.first["young"], *seen.second["young"]):
        if row["database"] == database:
            found[row["role"], row["application"]] = row
    return list(found.values())


CHECK = Check(
    id="C8",
    group="connections",
    title="New sessions all the time",
    why="A process for each new session takes the processor away from pushes and pops on the same machine.",
    false_positive="A test suite or a deployment inside the window.",
    explain="""\
PostgreSQL counts for each database how many sessions were opened. This check takes the difference over the window of
all databases, since the processor is shared. Servers of Queen keep their connections for an hour, so the sessions are
somebody else's, or a pooler that closes and opens them. Those that are young just now are shown with their role and
application name; the others have gone already.""",
    evaluate=evaluate,
    queries={"counts": Query(_COUNTS), "young": Query(_YOUNG)},
    thresholds={"limit": Threshold(5, 50, "new sessions/s")},
    delta=True,
)
