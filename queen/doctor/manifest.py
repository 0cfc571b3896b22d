"""What a healthy schema consists of: tables with their columns, indexes, functions. Kept in manifest.json.

Made anew from a database that was just migrated: python -m queen.doctor.manifest DSN > queen/doctor/manifest.json
The children of `messages` are not in it: they follow their parent.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Final

from queen.doctor.check import Query
from queen.doctor.shared import INDEXES
from queen.store.inspect import Inspector, Row

# A type of our own is named without its schema, so that the schema may have any name.
COLUMNS: Final = Query("""
SELECT format('%I', n.nspname) AS schema, c.relname, a.attname,
       concat(CASE WHEN t.typnamespace = n.oid THEN t.typname::text ELSE format_type(a.atttypid, a.atttypmod) END,
              CASE WHEN a.attnotnull THEN ' not null' END) AS kind
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE n.nspname = {schema_name} AND c.relkind IN ('r', 'p') AND NOT c.relispartition
 ORDER BY c.relname, a.attname
""")
# Those of the epochs come and go with them.
FUNCTIONS: Final = Query("""
SELECT DISTINCT f.proname FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
 WHERE n.nspname = {schema_name} AND f.proname !~ '^pop_[0-9]+$'
 ORDER BY f.proname
""")

_PUT_ASIDE: Final = re.compile(r"messages_[0-9]+_(new|old)")


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """One index as it should be. `definition` is what follows USING; `constraint`: p, u or None."""

    table: str
    unique: bool
    constraint: str | None
    definition: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`tables`: name → column → type, with "not null" behind it."""

    tables: Mapping[str, Mapping[str, str]]
    indexes: Mapping[str, IndexPlan]
    functions: frozenset[str]


@functools.cache
def manifest() -> Manifest:
    """That of this program's schema version."""
    found = json.loads((resources.files("queen.doctor") / "manifest.json").read_text("utf-8"))
    indexes = {name: IndexPlan(**plan) for name, plan in found["indexes"].items()}
    return Manifest(found["tables"], indexes, frozenset(found["functions"]))


def ours(row: Row) -> bool:
    """Whether an index belongs to the schema: named in the manifest, attached to one that is, or on a child that is
    being rewritten or dropped."""
    named = row["index_name"] in manifest().indexes or row["parent_index"] in manifest().indexes
    return named or _PUT_ASIDE.fullmatch(row["table_name"]) is not None


def plan_of(row: Row) -> IndexPlan:
    """The plan that a row of INDEXES answers to."""
    return IndexPlan(row["table_name"], row["is_unique"], row["constraint_type"], _behind_using(row["definition"]))


def text(inspector: Inspector) -> str:
    """The manifest of a database, as the file holds it. Raises CannotLook, StoreUnavailable."""

    def rows(query: Query) -> list[Row]:
        return inspector.rows(query.text_for(inspector.version))

    tables: dict[str, dict[str, str]] = {}
    for row in rows(COLUMNS):
        tables.setdefault(row["relname"], {})[row["attname"]] = row["kind"]
    indexes = {row["index_name"]: asdict(plan_of(row)) for row in rows(INDEXES) if not row["in_child"]}
    functions = [row["proname"] for row in rows(FUNCTIONS)]
    found = {"tables": tables, "indexes": indexes, "functions": functions}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _behind_using(definition: str) -> str:
    return definition.split(" USING ", 1)[1]


if __name__ == "__main__":
    with Inspector(sys.argv[1]) as asked:
        sys.stdout.write(text(asked))
