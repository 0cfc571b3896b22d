"""I1: an index that is not valid or not ready: writes pay for it, no read may use it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix
from queen.doctor.indexing import attach
from queen.doctor.manifest import ours, plan_of
from queen.doctor.shared import CHILDREN, INDEXES
from queen.store.inspect import Row

_LEFTOVER: Final = re.compile(r"_cc(new|old)\d*$")


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each unusable index that nobody is building now."""
    for row in seen.rows("indexes"):
        if row["usable"] or row["being_built"]:
            continue
        leftover = bool(_LEFTOVER.search(row["index_name"]))
        yield Finding(
            "crit" if ours(row) else "warn",
            f"{row['name']} is not valid: every write to {row['on_table']} pays for it, no read may use it",
            {"table": row["on_table"], "unique": row["is_unique"], "leftover": leftover, "of_queen": ours(row)},
            _remedy(row, leftover),
            object=row["name"],
            fix=_fix(seen, row, leftover),
        )


def _remedy(row: Row, leftover: bool) -> str:
    if leftover:
        return "Drop it: a REINDEX CONCURRENTLY was broken off and left its unfinished copy behind."
    if row["partitioned"]:
        return "Build it in the children that lack it and attach those; it becomes valid with the last."
    if row["is_unique"]:
        return "Build it anew. If rows break its uniqueness that fails and names one of them: remove those first."
    return "Build it anew."


def _fix(seen: Seen, row: Row, leftover: bool) -> Fix | None:
    if leftover:
        return Fix("A", (f"DROP INDEX CONCURRENTLY {row['name']}",), note="Nothing reads it, so there is no way back.")
    if not row["partitioned"]:
        return Fix("A", (f"REINDEX INDEX CONCURRENTLY {row['name']}",), note="Leaves the definition as it is.")
    if row["table_name"] != "messages":
        return None
    have = {other["table_name"] for other in seen.rows("indexes") if other["parent_index"] == row["index_name"]}
    behind = plan_of(row).definition
    missing = [child for child in seen.rows("children") if child["relname"] not in have]
    present = {other["index_name"]: other for other in seen.rows("indexes")}
    made = [line for child in missing for line in attach(row["index_name"], row["is_unique"], behind, child, present)]
    return Fix("A", tuple(made), note="Each child is attached as soon as its part is built.") if made else None


CHECK = Check(
    id="I1",
    group="indexes",
    title="Invalid indexes",
    why="An invalid index costs each message as much as a good one, and the look-up that needs it goes without.",
    false_positive="An index that is being built by a role whose progress this one may not see.",
    explain="""\
CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY leave an invalid index behind when they are cancelled, time out, or
meet rows that break uniqueness. PostgreSQL goes on writing to it, and never reads it.

An index whose name ends in _ccnew or _ccold is the unfinished copy of REINDEX CONCURRENTLY; the original is still
there, and the copy may be dropped. Any other one is built anew. An index of a partitioned table is valid when every
child has its part attached. It is critical for an index of Queen's own, because pushes and pops look up rows by it.""",
    evaluate=evaluate,
    queries={"indexes": INDEXES, "children": CHILDREN},
    needs=(needs.schema,),
)
