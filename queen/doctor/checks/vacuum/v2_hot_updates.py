"""V2: updates of changing tables that write every index, because no new version fits into the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix, Severity, Stake, Threshold
from queen.doctor.shared import TABLES
from queen.doctor.stake import wal_ceiling
from queen.doctor.tables import FILLFACTOR, FIXED, options, set_options
from queen.store.inspect import Row

_UPDATES_MIN: Final = 200  # fewer in a window make no ratio
_ENTRY_BYTES: Final = 100
"""Log of one more index entry. Measured on a table with two indexes: 546 bytes for an update that is not HOT, 343 for
one that is, 263 with room in the page as well."""
_SAVED_MAX: Final = 0.52  # of the log, in the same measurement: 546 to 263

# Columns of expressions and conditions are those that the index depends on. BRIN does not stand in the way from 16 on.
_INDEXES = """
SELECT format('%I.%I', n.nspname, ic.relname) AS name, tc.relname AS table_name,
       pg_get_indexdef(x.indexrelid) AS definition,
       EXISTS (SELECT FROM pg_constraint c
                WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u', 'x')) AS of_constraint,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = x.indrelid AND a.attnum > 0
                AND (a.attnum = ANY (x.indkey::int2[])
                     OR EXISTS (SELECT FROM pg_depend d
                                 WHERE d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid
                                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = x.indrelid
                                   AND d.refobjsubid = a.attnum))
              ORDER BY a.attnum) AS columns
  FROM pg_index x
  JOIN pg_class ic ON ic.oid = x.indexrelid
  JOIN pg_class tc ON tc.oid = x.indrelid
  JOIN pg_namespace n ON n.oid = tc.relnamespace
  JOIN pg_am am ON am.oid = ic.relam
 WHERE n.nspname = {schema_name}
   AND NOT (am.amname = 'brin' AND current_setting('server_version_num')::int >= 160000)
 ORDER BY ic.relname
"""
_WAL = """
SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
        - '0/0'::pg_lsn)::float8 AS wal_bytes
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each changing table of which too few updates are HOT. Raises NotSeen when hardly anything was
    updated."""
    grown = [row for row in seen.changes("tables", "relid", "n_tup_upd", "n_tup_hot_upd") if row["relname"] in FIXED]
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
        changing = [column for column in index["columns"] if column not in FIXED[table]]
        if index["table_name"] == table and changing and not index["of_constraint"]:
            found.append({**index, "changing": changing})
    return found


def _fillfactor(row: Row) -> int:
    return int(options(row["reloptions"]).get("fillfactor", "100"))


def _way_out(row: Row, indexes: list[Row]) -> tuple[str, Fix | None]:
    if indexes:
        remedy = "Drop the index: with it no update can be HOT. Queen's own statements need none on these columns."
        drop = tuple(f"DROP INDEX CONCURRENTLY {index['name']}" for index in indexes)
        return remedy, Fix("D", drop, tuple(_concurrently(index["definition"]) for index in indexes))
    if _fillfactor(row) > FILLFACTOR:
        note = "It counts for pages filled from now on; VACUUM FULL at a quiet time rewrites the others."
        change = set_options(row["name"], row["reloptions"], {"fillfactor": str(FILLFACTOR)}, note)
        return "Leave half of each page free for new versions of its rows.", change
    return "Pages are full of versions that cannot go yet: see V4 for who holds them, and V1, V3.", None


def _concurrently(definition: str) -> str:
    return definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)


def _stake(seen: Seen, table: str, others: int) -> Stake:
    """The log of the window against the same without the index entries that HOT updates would have saved."""
    indexes = sum(1 for index in seen.rows("indexes") if index["table_name"] == table)
    written = float(seen.row("wal")["wal_bytes"] - seen.first["wal"][0]["wal_bytes"])
    return wal_ceiling(written, written - min(others * indexes * _ENTRY_BYTES, _SAVED_MAX * written))


CHECK = Check(
    id="V2",
    group="vacuum",
    title="Updates that write every index",
    why="Each push, pop and ack updates a small row; when that is not HOT it writes every index and twice the log.",
    false_positive="A window with few updates, or one in which somebody changed whole tables at once.",
    explain="""\
PostgreSQL writes a new version of a row for each update. When no indexed column changed and the page has room, the new
version stays in the page and no index is touched: a HOT update. Queen's changing tables are made for that, with half of
each page free and no index on a column that changes.

The check takes the share of HOT updates of each such table within the window. It is low for one of three reasons: an
index on a changing column, which is named in the evidence; a fillfactor that leaves no room; or versions that vacuum
may not remove, because something holds the horizon (V4).

What is at stake is modelled: the log written in the window, less about 100 bytes for each index and each update that
was not HOT. It is reached only where the log is what limits the rate.""",
    evaluate=evaluate,
    queries={"tables": TABLES, "indexes": Query(_INDEXES), "wal": Query(_WAL)},
    thresholds={"limit": Threshold(90, 50, "% HOT")},
    needs=(needs.schema, needs.primary),
    delta=True,
)
