"""S3: a sequence or a key of four bytes that comes near its end."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor.check import Check, NotSeen, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.system import identifier

# A sequence that is owned by a column ends where the type of the column ends, also when it could count on itself.
_SEQUENCES = """
SELECT format('%I.%I', s.schemaname, s.sequencename) AS name, s.last_value::float8 AS reached,
       least(s.max_value::float8, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                                  ELSE 9223372036854775807 END) AS room,
       CASE WHEN a.attname IS NOT NULL THEN format('%I.%I', n.nspname, t.relname) END AS of_table,
       a.attname::text AS of_column, format_type(a.atttypid, NULL) AS of_type
  FROM pg_sequences s
  JOIN pg_namespace sn ON sn.nspname = s.schemaname
  JOIN pg_class c ON c.relnamespace = sn.oid AND c.relname = s.sequencename AND c.relkind = 'S'
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                       AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  LEFT JOIN pg_class t ON t.oid = d.refobjid
  LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE s.last_value IS NOT NULL AND NOT s.cycle AND s.increment_by > 0
 ORDER BY s.last_value::float8 / s.max_value::float8 DESC
 LIMIT 1000
"""
# Queen takes its ids from a table of its own; those of queues and epochs have four bytes.
_OWN = """
SELECT 'queues.queue_id' AS name, (next_id - 1)::float8 AS reached FROM {schema}.counters WHERE name = 'queue'
UNION ALL
SELECT 'epochs.epoch', max(epoch)::float8 FROM {schema}.epochs
"""
# How far a sequence is, only those may know who may read it. The CASE keeps the question from other relations.
_HIDDEN = """
SELECT count(*)::int AS sequences, string_agg(DISTINCT format('%I', n.nspname), ', ') AS schemas
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE CASE WHEN c.relkind = 'S' AND c.relpersistence <> 't' THEN NOT has_sequence_privilege(c.oid, 'select, usage')
            ELSE false END
"""
_INT4 = 2_147_483_647.0


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each key that has used up most of its numbers. Raises NotSeen when there is none, and not all
    could be looked at."""
    found = list(_seen(seen))
    if not found:
        _refuse_hidden(seen)
    return found


def _refuse_hidden(seen: Seen) -> None:
    row, facts = seen.row("hidden"), seen.facts
    if row["sequences"]:
        line = f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {row['schemas']} TO {identifier(facts.role)};"
        raise NotSeen(f"role {facts.role} may not read {row['sequences']} sequences of this database", line)
    if facts.schema_owner is not None and not seen.rows("own"):
        line = f"GRANT SELECT ON ALL TABLES IN SCHEMA {identifier(facts.schema)} TO {identifier(facts.role)};"
        raise NotSeen(f"role {facts.role} may not read the tables of Queen", line)


def _seen(seen: Seen) -> Iterable[Finding]:
    own = seen.facts.schema
    for row in seen.rows("own"):
        name = f"{own}.{row['name']}"
        yield from _judge(seen, name, row["reached"] or 0.0, _INT4, "Delete queues that are not used, and plan a move.")
    for row in seen.rows("sequences"):
        table, column = row["of_table"], row["of_column"]
        remedy = f"ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint, in a quiet hour: it rewrites the table."
        if table is None or row["of_type"] == "bigint":
            remedy = (
                "Give the sequence a larger type or MAXVALUE, and see that whoever stores its numbers can hold them."
            )
        yield from _judge(seen, row["name"], row["reached"], row["room"], remedy)


def _judge(seen: Seen, name: str, reached: float, room: float, remedy: str) -> Iterable[Finding]:
    limit = seen.limits["limit"]
    used = 100 * reached / room
    severity = limit.judge(used)
    if severity is not None:
        yield Finding(
            severity,
            f"{name} has used {used:.0f} % of its numbers",
            {"used_pct": round(used, 1), "reached": int(reached), "end": int(room)},
            remedy,
            object=name,
            threshold=limit,
        )


CHECK = Check(
    id="S3",
    group="statements",
    title="Keys that come near their end",
    why="When a sequence or a key of four bytes ends, every insert that needs the next number fails.",
    false_positive="A sequence that somebody set high once and that nobody draws from any more.",
    explain="""\
Every sequence of the database is compared with its end: its own maximum, or the largest number of the column that it
belongs to, whichever comes first. Sequences that begin anew at their end are left out. One that the role may not read
could be anywhere: then the check is skipped, unless it found something.

Queen itself uses no sequences. Its ids come from the table `counters`; those of messages, partitions and dead letters
have eight bytes and do not end, those of queues and epochs have four and are looked at here.""",
    evaluate=evaluate,
    queries={"sequences": Query(_SEQUENCES), "own": Query(_OWN, optional=True), "hidden": Query(_HIDDEN)},
    thresholds={"limit": Threshold(75, 90, "% used")},
)
