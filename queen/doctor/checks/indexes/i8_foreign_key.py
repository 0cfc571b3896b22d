"""I8: foreign keys without an index behind them, and any foreign key on the log of messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix
from queen.store.inspect import Row

# PostgreSQL cuts names at 63 bytes, and two that are cut alike would be one: long ones become a digest.
# A part of a partitioned table inherits its parent's key; only the parent's is listed.
_KEYS: Final = Query("""
SELECT c.conname, format('%I', c.conname) AS quoted_name, pg_get_constraintdef(c.oid) AS definition,
       format('%I.%I', cn.nspname, cc.relname) AS child, format('%I.%I', pn.nspname, pc.relname) AS parent,
       cc.relkind = 'p' AS partitioned, cc.reltuples AS rows,
       cn.nspname = {schema_name} AND cc.relname ~ '^messages(_[0-9]+)?$' AS on_log,
       format('%I', CASE WHEN octet_length(concat(cc.relname, '_', c.conname, '_idx')) <= 63
                         THEN concat(cc.relname, '_', c.conname, '_idx')
                         ELSE concat('fk_', md5(concat(cc.relname, '_', c.conname)), '_idx') END) AS index_name,
       format('%I', cn.nspname) AS child_schema,
       (SELECT string_agg(format('%I', a.attname), ', ' ORDER BY k.place)
          FROM unnest(c.conkey) WITH ORDINALITY k (attnum, place)
          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS columns,
       EXISTS (SELECT FROM pg_index i
                WHERE i.indrelid = c.conrelid AND i.indisvalid AND i.indpred IS NULL
                  AND (i.indkey::int2[])[0:array_length(c.conkey, 1) - 1] @> c.conkey) AS indexed
  FROM pg_constraint c
  JOIN pg_class cc ON cc.oid = c.conrelid
  JOIN pg_namespace cn ON cn.oid = cc.relnamespace
  JOIN pg_class pc ON pc.oid = c.confrelid
  JOIN pg_namespace pn ON pn.oid = pc.relnamespace
 WHERE c.contype = 'f' AND c.conparentid = 0 AND {schema_name} IN (cn.nspname, pn.nspname)
 ORDER BY child, c.conname
""")


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each key on the log, and for each that a delete of its parent has to search for row by row."""
    for row in seen.rows("keys"):
        if row["on_log"]:
            yield _on_log(row)
        elif not row["indexed"]:
            yield _without_index(row)


def _on_log(row: Row) -> Finding:
    return Finding(
        "warn",
        f"foreign key {row['conname']} on {row['child']}: each message that is stored locks a row of {row['parent']}",
        {"definition": row["definition"], "parent": row["parent"]},
        "Drop it. Queen keeps the two together by itself, and children of messages leave by DROP.",
        object=f"{row['child']}.{row['conname']}",
        fix=Fix(
            "D",
            (f"ALTER TABLE {row['child']} DROP CONSTRAINT {row['quoted_name']}",),
            (f"ALTER TABLE {row['child']} ADD CONSTRAINT {row['quoted_name']} {row['definition']}",),
            "Locks both tables for a moment.",
        ),
    )


def _without_index(row: Row) -> Finding:
    index = f"{row['child_schema']}.{row['index_name']}"
    made = f"CREATE INDEX CONCURRENTLY {row['index_name']} ON {row['child']} ({row['columns']})"
    return Finding(
        "warn",
        f"foreign key {row['conname']}: {row['child']} has no index on {row['columns']}, so each delete from"
        f" {row['parent']} reads all of it",
        {"definition": row["definition"], "parent": row["parent"], "columns": row["columns"], "rows": row["rows"]},
        "Create the index, or drop the foreign key.",
        object=f"{row['child']}.{row['conname']}",
        fix=None if row["partitioned"] else Fix("A", (made,), (f"DROP INDEX CONCURRENTLY {index}",)),
    )


CHECK = Check(
    id="I8",
    group="indexes",
    title="Foreign keys without an index",
    why="Retention and the deletion of queues delete parents; without an index each deleted row reads the whole child"
    " table under locks.",
    false_positive="A child table that stays tiny.",
    explain="""\
Queen has no foreign keys of its own. One that you add from a table of yours to Queen's makes every delete of the parent
look for rows that refer to it: with an index on the referring columns that is one look-up, without one a scan.

A foreign key on messages is named in any case: each stored message would lock the row that it refers to, which queues
up the pushes of a partition and needs multixacts.""",
    evaluate=evaluate,
    queries={"keys": _KEYS},
    needs=(needs.schema,),
)
