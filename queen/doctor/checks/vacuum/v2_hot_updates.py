"""V2: updates of changing tables that write every index, because no new version fits into the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.checks.indexes.i2_changing_column import CHANGING, SUMMARY_SINCE
from queen.doctor.finding import Finding, Fix, Severity, Stake, Threshold
from queen.doctor.indexing import drop, wal_stake
from queen.doctor.shared import INDEXES, TABLES, WAL_POSITION
from queen.doctor.tables import options, set_options
from queen.store.inspect import Row
from queen.tune.figures import FILLFACTORS

_UPDATES_MIN: Final = 200  # fewer in a window make no ratio
_KEY_BYTES: Final = 8.0  # of an index of these tables, roughly


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each changing table of which too few updates are HOT. Raises NotSeen when hardly anything was
    updated."""
    grown = [
        row for row in seen.changes("tables", "relid", "n_tup_upd", "n_tup_hot_upd") if row["relname"] in FILLFACTORS
    ]
    judged = [row for row in grown if row["n_tup_upd"] >= _UPDATES_MIN]
    if not judged:
        most = max((row["n_tup_upd"] for row in grown), default=0)
        raise needs.NotSeen(
            f"at most {most} updates of a table within the window; {_UPDATES_MIN} are needed",
            "queen doctor --window 60s, while messages flow",
        )
    for row in judged:
        severity = seen.limits["limit"].judge_low(100 * row["n_tup_hot_upd"] / row["n_tup_upd"])
        if severity is not None:
            yield _finding(seen, row, severity)


def _finding(seen: Seen, row: Row, severity: Severity) -> Finding:
    others = row["n_tup_upd"] - row["n_tup_hot_upd"]
    indexes = _guilty(seen, row["relname"])
    evidence: dict[str, Any] = {
        "updates": row["n_tup_upd"],
        "hot": row["n_tup_hot_upd"],
        "hot_pct": round(100 * row["n_tup_hot_upd"] / row["n_tup_upd"], 1),
        "fillfactor": _fillfactor(row),
        "indexes_on_changing_columns": {index["name"]: index["changing"] for index in indexes},
        "dead_rows": row["n_dead_tup"],
        "window_s": round(seen.window_s, 1),
    }
    remedy, fix = _way_out(row, indexes)
    return Finding(
        severity,
        f"{row['name']}: {evidence['hot_pct']} % of {row['n_tup_upd']} updates were HOT, {others} wrote every index",
        evidence,
        remedy,
        object=row["name"],
        threshold=seen.limits["limit"],
        at_stake=_stake(seen, row["relname"], others),
        fix=fix,
    )


def _guilty(seen: Seen, table: str) -> list[Row]:
    """Indexes of the table with a column that changes, those of constraints left out; `changing` names the columns."""
    found = []
    for index in seen.rows("indexes"):
        changing = sorted(CHANGING.get(table, frozenset()) & set(index["columns"]))
        harmless = index["method"] == "brin" and seen.facts.version >= SUMMARY_SINCE
        if index["table_name"] == table and changing and not harmless and not index["constraint_type"]:
            found.append({**index, "changing": changing})
    return found


def _fillfactor(row: Row) -> int:
    return int(options(row["reloptions"]).get("fillfactor", "100"))


def _way_out(row: Row, indexes: list[Row]) -> tuple[str, Fix | None]:
    if indexes:
        remedy = "Drop the index: with it no update can be HOT. Queen's own statements need none on these columns."
        drops = [drop(index, ()) for index in indexes]
        apply = tuple(statement for fix in drops for statement in fix.apply)
        return remedy, Fix("D", apply, tuple(statement for fix in drops for statement in fix.undo))
    if _fillfactor(row) > FILLFACTORS[row["relname"]]:
        note = "It counts for pages filled from now on; VACUUM FULL at a quiet time rewrites the others."
        wanted = {"fillfactor": str(FILLFACTORS[row["relname"]])}
        change = set_options(row["name"], row["reloptions"], wanted, note)
        return "Leave a part of each page free for new versions of its rows.", change
    return "Pages are full of versions that cannot go yet: see V4 for who holds them, and V1, V3.", None


def _stake(seen: Seen, table: str, others: int) -> Stake:
    """The log of the window against the same without the index entries that HOT updates would have saved."""
    indexes = sum(1 for index in seen.rows("indexes") if index["table_name"] == table)
    return wal_stake(seen, others * indexes, _KEY_BYTES)


CHECK = Check(
    id="V2",
    group="vacuum",
    title="Updates that write every index",
    why="Each push, pop and ack updates a small row; when that is not HOT it writes every index and twice the log.",
    false_positive="A window with few updates, or one in which somebody changed whole tables at once.",
    explain="""\
PostgreSQL writes a new version of a row for each update. When no indexed column changed and the page has room, the new
version stays in the page and no index is touched: a HOT update. Queen's changing tables are made for that, with room
kept on each page and no index on a column that changes.

The check takes the share of HOT updates of each such table within the window. It is low for one of three reasons: an
index on a changing column, which is named in the evidence; a fillfactor that leaves no room; or versions that vacuum
may not remove, because something holds the horizon (V4).

What is at stake is modelled: the log written in the window, less what an entry writes for each index and each update
that was not HOT. It is reached only where the log is what limits the rate.""",
    evaluate=evaluate,
    queries={"tables": TABLES, "indexes": INDEXES, "wal": WAL_POSITION},
    thresholds={"limit": Threshold(90, 50, "% HOT")},
    needs=(needs.schema, needs.primary),
    delta=True,
)
