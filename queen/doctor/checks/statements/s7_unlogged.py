"""S7: a table of the queue that a crash would empty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix, Severity
from queen.doctor.manifest import manifest

UNLOGGED_ON_PURPOSE: Final = {
    "changes_0": "what servers told one another in the last 30 seconds; after a crash each looks at everything anyway",
    "changes_1": "the same, in turns",
}
_UNLOGGED = """
SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relname::text AS relname,
       pg_relation_size(c.oid)::float8 AS heap_bytes, greatest(c.reltuples, 0)::float8 AS live_rows
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = {schema_name} AND c.relpersistence = 'u' AND c.relkind = 'r'
 ORDER BY c.relname LIMIT 1000
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each unlogged table that is not so on purpose."""
    for row in seen.rows("unlogged"):
        if row["relname"] in UNLOGGED_ON_PURPOSE:
            continue
        yield Finding(
            _severity(row["relname"]),
            f"{row['name']} is unlogged: a crash of PostgreSQL empties it",
            {"heap_bytes": int(row["heap_bytes"]), "rows": int(row["live_rows"])},
            "Make it a logged table. That writes it to the log once, and holds its lock meanwhile.",
            object=row["name"],
            fix=Fix(
                "D",
                (f"ALTER TABLE {row['name']} SET LOGGED",),
                (f"ALTER TABLE {row['name']} SET UNLOGGED",),
                "Pushes or pops wait while the table is rewritten.",
            ),
        )


def _severity(relname: str) -> Severity:
    """Numbers to look at are a pity, and what is not Queen's is its owner's matter; all others are promises."""
    if relname.startswith(("activity", "instance_activity", "queue_stats", "group_stats")):
        return "warn"
    ours = relname in manifest().tables or relname.startswith("messages_")
    return "crit" if ours else "warn"


CHECK = Check(
    id="S7",
    group="statements",
    title="Unlogged tables",
    why="Messages that were acknowledged to their producers are gone after a crash, and a standby never has them.",
    false_positive="A trial of somebody who can lose everything, such as a benchmark.",
    explain="""\
An unlogged table is written without the write-ahead log. It is fast, and empty after a crash, and it does not exist on
a standby. Queen makes two such tables on purpose, changes_0 and changes_1: what servers told one another in the last
30 seconds, which nobody misses. Every other table of its schema must be logged; so must each child of `messages`.""",
    evaluate=evaluate,
    queries={"unlogged": Query(_UNLOGGED)},
    needs=(needs.schema,),
)
