"""I4: an index that another one covers: the same, or the beginning of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding
from queen.doctor.indexing import drop, new_entries, wal_stake
from queen.doctor.manifest import ours
from queen.doctor.shared import CHILDREN, INDEX_USE, INDEXES, TABLES, WAL_POSITION
from queen.store.inspect import Row


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each index that may go because of another; Queen's own never may."""
    rows = [row for row in seen.rows("indexes") if row["usable"]]
    for row in rows:
        others = [other for other in rows if other["on_table"] == row["on_table"] and other is not row]
        wider = next((other for other in others if covers(other, row)), None)
        if wider is not None and _may_go(row):
            yield _finding(seen, row, wider)


def covers(wider: Row, row: Row) -> bool:
    """Whether every use of `row` can be one of `wider`."""
    if wider["method"] != row["method"] or wider["condition"] != row["condition"]:
        return False
    if row["has_expressions"] or wider["has_expressions"] or row["method"] != "btree":
        return _behind(wider) == _behind(row) and _outranks(wider, row)
    same = wider["keys"] == row["keys"]
    if wider["keys"][: len(row["keys"])] != row["keys"] or not set(row["included"]) <= set(wider["columns"]):
        return False
    if row["is_unique"] and not (same and wider["is_unique"]):
        return False
    equal = same and set(wider["included"]) == set(row["included"])
    return _outranks(wider, row) if equal else True


def _outranks(wider: Row, row: Row) -> bool:
    """Of two equal indexes the one that stays: Queen's, that of a constraint, the unique, the older."""
    return _rank(wider) > _rank(row)


def _rank(row: Row) -> tuple[bool, bool, bool, int]:
    return ours(row), row["constraint_type"] is not None, row["is_unique"], -row["oid"]


def _may_go(row: Row) -> bool:
    return not ours(row) and row["constraint_type"] is None and not row["is_identity"] and row["parent_index"] is None


def _behind(row: Row) -> Sequence[str]:
    unique = "unique" if row["is_unique"] else ""
    return unique, row["definition"].split(" USING ", 1)[1]


def _finding(seen: Seen, row: Row, wider: Row) -> Finding:
    use = next((one for one in seen.rows("use") if one["name"] == row["name"]), None)
    size = use["bytes"] if use else None
    entries = new_entries(seen, row["on_table"])
    return Finding(
        "warn",
        f"{row['name']} does nothing that {wider['name']} does not do too",
        {
            "definition": row["definition"],
            "covered_by": wider["definition"],
            "bytes": size,
            "new_entries_in_window": entries,
        },
        f"Drop {row['name']}.",
        object=row["name"],
        at_stake=wal_stake(seen, entries, use["width_bytes"] or 0.0 if use else 0.0),
        fix=drop(row, seen.rows("children")),
    )


CHECK = Check(
    id="I4",
    group="indexes",
    title="Indexes that another covers",
    why="Each index costs log and time with every message that is written; a second one of a kind gives nothing back.",
    false_positive="A short index that fits in memory, where the wide one does not.",
    explain="""\
An index on (a) is covered by one on (a, b): every search by a can use the wider one. The same holds for two indexes
with the same columns. Compared are the columns with their order, operator class and collation, the condition, and what
INCLUDE carries; indexes with expressions must be the same altogether.

A unique index is covered only by a unique one on the same columns. Queen's own indexes and those of constraints always
stay. Of two that are equal the younger goes.""",
    evaluate=evaluate,
    queries={
        "indexes": INDEXES,
        "use": INDEX_USE,
        "tables": TABLES,
        "children": CHILDREN,
        "wal": WAL_POSITION,
    },
    needs=(needs.schema,),
    delta=True,
)
