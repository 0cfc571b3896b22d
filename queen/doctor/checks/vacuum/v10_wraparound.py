"""V10: transaction ids or multixact ids that come near their end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Severity, Threshold
from queen.store.inspect import Row

_ALL: Final = 2**31  # ids are 32 bits wide and half of them lie in the past
_OLDEST: Final = 5

_DATABASES = """
SELECT datname::text AS name, datname = current_database() AS ours, datallowconn AS open,
       age(datfrozenxid)::bigint AS xid_age, mxid_age(datminmxid)::bigint AS mxid_age
  FROM pg_database
 ORDER BY greatest(age(datfrozenxid), mxid_age(datminmxid)) DESC
"""
# Of this database only: others must be asked from within. Zero is "none": sequences, views, partitioned tables.
_TABLES = f"""
SELECT format('%I.%I', n.nspname, c.relname) AS name, c.xid_age, c.mxid_age
  FROM (SELECT relnamespace, relname, age(relfrozenxid)::bigint AS xid_age,
               CASE WHEN relminmxid::text = '0' THEN 0 ELSE mxid_age(relminmxid)::bigint END AS mxid_age
          FROM pg_class WHERE relkind IN ('r', 'm', 't') AND relfrozenxid::text <> '0') c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY greatest(c.xid_age, c.mxid_age) DESC, 1
 LIMIT {_OLDEST}
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each database that is too old."""
    for row in seen.rows("databases"):
        severity = seen.limits["limit"].judge(_share(row))
        if severity is not None:
            yield _finding(seen, row, severity)


def _share(row: Row) -> float:
    return float(max(row["xid_age"], row["mxid_age"]) / _ALL)


def _finding(seen: Seen, row: Row, severity: Severity) -> Finding:
    kind = "xid" if row["xid_age"] >= row["mxid_age"] else "mxid"
    word = "transaction" if kind == "xid" else "multixact"
    oldest = {table["name"]: table[f"{kind}_age"] for table in seen.rows("tables")} if row["ours"] else {}
    name, age = row["name"], row[f"{kind}_age"]
    where = "VACUUM (FREEZE) these tables, the oldest first" if oldest else "VACUUM (FREEZE) in that database"
    return Finding(
        severity,
        f"database {name} has used {100 * _share(row):.1f} % of its {word} ids: {age} are not frozen",
        {
            "xid_age": row["xid_age"],
            "mxid_age": row["mxid_age"],
            "autovacuum_freeze_max_age": int(seen.facts.settings.number("autovacuum_freeze_max_age")),
            "oldest_tables": oldest,
            "connections_allowed": row["open"],
        },
        f"End what holds the horizon (V4), then {where}. From autovacuum_freeze_max_age on autovacuum does that "
        "itself: look in V7 and V8 why it does not get on.",
        object=f"database {name}",
        threshold=seen.limits["limit"],
    )


CHECK = Check(
    id="V10",
    group="vacuum",
    title="Transaction ids near their end",
    why="At the end PostgreSQL refuses every write, so every push and ack, until somebody has frozen its tables.",
    false_positive="A server with autovacuum_freeze_max_age set high on purpose, on its way to it.",
    explain="""\
Transaction ids are 32 bits wide. A row older than 2.1 billion transactions must have been frozen by vacuum, so
PostgreSQL stops taking writes before the oldest row that is not frozen gets there. The same holds for multixact ids.

This check takes the larger of both ages of each database of the server as a share of 2.1 billion. Of the database that
the doctor is connected to it names the oldest tables: freeze those first. Autovacuum freezes by itself from
autovacuum_freeze_max_age on, 200 million by default; far beyond it something stops it: a held horizon, too few workers,
a table that it is always chased from.""",
    evaluate=evaluate,
    queries={"databases": Query(_DATABASES), "tables": Query(_TABLES)},
    thresholds={"limit": Threshold(0.5, 0.8, "of 2.1 billion ids")},
    needs=(needs.primary,),
)
