"""I5: the schema is not what this program expects: a table, column, index or function is missing or different."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix
from queen.doctor.indexing import create
from queen.doctor.manifest import COLUMNS, FUNCTIONS, IndexPlan, manifest, ours, plan_of
from queen.doctor.shared import CHILDREN, INDEXES
from queen.store.inspect import Row

_RENEW: Final = "queen db migrate"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """What is missing or different, by table, index and function; and indexes that are not Queen's."""
    present: dict[str, dict[str, str]] = {}
    for row in seen.rows("columns"):
        present.setdefault(row["relname"], {})[row["attname"]] = row["kind"]
    yield from _tables(seen, present)
    yield from _indexes(seen, present)
    yield from _functions(seen)
    yield from _foreign(seen)


def _tables(seen: Seen, present: dict[str, dict[str, str]]) -> Iterable[Finding]:
    for table, columns in manifest().tables.items():
        if table not in present:
            yield _broken(seen, table, f"table {table} is missing", {"columns": len(columns)})
            continue
        wrong = {name: kind for name, kind in columns.items() if present[table].get(name) != kind}
        if wrong:
            found = {name: present[table].get(name) for name in wrong}
            said = ", ".join(f"{name} is {found[name] or 'missing'} instead of {kind}" for name, kind in wrong.items())
            yield _broken(seen, table, f"{table}: {said}", {"expected": wrong, "found": found})


def _broken(seen: Seen, table: str, summary: str, evidence: dict[str, object]) -> Finding:
    return Finding(
        "crit",
        summary,
        evidence,
        f"If the schema is older than this program, `{_RENEW}` brings it up to date. If that finds nothing to do, it"
        " was changed by hand: change it back, or restore it from a backup.",
        object=f"{_schema(seen)}.{table}",
    )


def _indexes(seen: Seen, present: dict[str, dict[str, str]]) -> Iterable[Finding]:
    found = {row["index_name"]: row for row in seen.rows("indexes") if not row["in_child"]}
    for name, plan in manifest().indexes.items():
        row = found.get(name)
        if plan.table in present and (row is None or plan_of(row) != plan):
            yield _index(seen, name, plan, row)


def _index(seen: Seen, name: str, plan: IndexPlan, row: Row | None) -> Finding:
    said = "is missing" if row is None else f"is {row['definition'].split(' USING ', 1)[1]}"
    return Finding(
        "crit" if plan.unique else "warn",
        f"index {name} of {plan.table} {said}; it should be {plan.definition}",
        {"table": plan.table, "expected": plan.definition, "unique": plan.unique, "found": row and row["definition"]},
        _remedy(plan, row),
        object=f"{_schema(seen)}.{name}",
        fix=_create(seen, name, plan) if row is None else None,
    )


def _remedy(plan: IndexPlan, row: Row | None) -> str:
    if row is not None:
        return "Rename or drop the one that is there, then run this again: it will say how to make the right one."
    if plan.unique:
        return "Create it. If rows break its uniqueness that fails and names one of them: remove those first."
    return "Create it while the servers run."


def _create(seen: Seen, name: str, plan: IndexPlan) -> Fix | None:
    on_table = f"{_schema(seen)}.{plan.table}"
    children = seen.rows("children") if plan.table == "messages" else None
    if plan.constraint is None:
        made = create(name, on_table, plan.unique, plan.definition, children)
        gone = "DROP INDEX" if plan.table == "messages" else "DROP INDEX CONCURRENTLY"
        return Fix("A", made, (f"{gone} {_schema(seen)}.{name}",))
    if plan.table == "messages":
        return None  # a key of all children can only be added under a lock for as long as it is built
    kind = "PRIMARY KEY" if plan.constraint == "p" else "UNIQUE"
    made = create(name, on_table, True, plan.definition, None)
    add = f"ALTER TABLE {on_table} ADD CONSTRAINT {name} {kind} USING INDEX {name}"
    return Fix("A", (*made, add), (f"ALTER TABLE {on_table} DROP CONSTRAINT {name}",))


def _functions(seen: Seen) -> Iterable[Finding]:
    missing = sorted(manifest().functions - {row["proname"] for row in seen.rows("functions")})
    missing += ["pop_" + row["relname"].rpartition("_")[2] for row in seen.rows("children") if not row["has_pop"]]
    if missing:
        forget = f"DELETE FROM {_schema(seen)}.schema_functions"
        yield Finding(
            "crit",
            f"{len(missing)} of Queen's functions are missing: {', '.join(missing[:5])}",
            {"missing": missing},
            f"`{_RENEW}` creates all functions anew when it does not find its note of having done so.",
            object=_schema(seen),
            fix=Fix("E", (f"queen db psql -c '{forget}'", _RENEW)),
        )


def _schema(seen: Seen) -> str:
    """The schema as SQL writes it. It has columns: the check needs it complete."""
    return str(seen.rows("columns")[0]["schema"])


def _foreign(seen: Seen) -> Iterable[Finding]:
    """Indexes on Queen's tables that are not Queen's: nothing is wrong with them but their price."""
    for row in seen.rows("indexes"):
        queens = row["table_name"] in manifest().tables or row["in_child"]
        if queens and not ours(row) and row["parent_index"] is None and row["usable"]:
            yield Finding(
                "info",
                f"{row['name']} is not one of Queen's; every write to {row['on_table']} pays for it",
                {"definition": row["definition"]},
                "Keep it if you need it. I2, I3 and I4 say when it does harm.",
                object=row["name"],
            )


CHECK = Check(
    id="I5",
    group="indexes",
    title="The schema against what Queen expects",
    why="A push or pop without its index reads whole tables; without a unique index a message may be stored twice.",
    false_positive="A server of another version that is being rolled out, for as long as that takes.",
    explain="""\
Queen knows what its schema consists of: tables with their columns, indexes with their definitions, functions by name.
This check compares. Children of messages follow their parent; each needs the pop function of its epoch.

A missing index is made while the servers run. That of messages is declared on the parent, built child by child, and
attached; a primary key of messages can only be added under a lock, so no statement is given for it. A missing or
different table or column comes from an older schema, or from a change by hand.

Indexes that you added are listed as information.""",
    evaluate=evaluate,
    queries={"columns": COLUMNS, "indexes": INDEXES, "functions": FUNCTIONS, "children": CHILDREN},
    needs=(needs.schema,),
)
