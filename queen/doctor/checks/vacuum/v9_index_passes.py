"""V9: a vacuum that reads all indexes of a table more than once, because its memory is too small."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.facts import ServerSettings
from queen.doctor.finding import Finding, Fix, Severity, Threshold
from queen.doctor.system import set_system
from queen.store.inspect import Row

_MB: Final = 1 << 20
_LEAST: Final = 64 * _MB
_MOST: Final = 1024 * _MB  # before 17 vacuum uses no more
_BYTES_A_ROW: Final = 6  # what vacuum remembers of a dead row before 17; from 17 on less

_VACUUMS = """
SELECT p.pid, format('%I.%I', n.nspname, c.relname) AS name, p.phase, p.index_vacuum_count AS passes,
       a.backend_type = 'autovacuum worker' AS auto, coalesce(pg_stat_get_dead_tuples(c.oid), 0) AS dead_rows,
       pg_indexes_size(c.oid) AS index_bytes,
       EXTRACT(epoch FROM clock_timestamp() - a.xact_start)::float8 AS running_s
  FROM pg_stat_progress_vacuum p
  JOIN pg_stat_activity a ON a.pid = p.pid
  JOIN pg_class c ON c.oid = p.relid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE p.datname = current_database() AND n.nspname = {schema_name}
 ORDER BY 1
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each vacuum of a Queen table that has gone through its indexes more than once."""
    for row in seen.rows("vacuums"):
        severity = seen.limits["limit"].judge(row["passes"])
        if severity is not None:
            yield _finding(seen, row, severity)


def _finding(seen: Seen, row: Row, severity: Severity) -> Finding:
    memory = _memory(seen.facts.settings)
    by = "autovacuum" if row["auto"] else "a VACUUM by hand"
    shown = ("passes", "phase", "auto", "dead_rows", "index_bytes", "running_s")
    return Finding(
        severity,
        f"{row['name']}: {by} has gone through the indexes {row['passes']} times already",
        {**{name: row[name] for name in shown}, "autovacuum_work_mem_bytes": int(memory)},
        "Give autovacuum more memory, or vacuum by hand with a larger maintenance_work_mem.",
        object=row["name"],
        threshold=seen.limits["limit"],
        fix=_fix(seen, row, memory),
    )


def _memory(settings: ServerSettings) -> float:
    """What autovacuum may use, in bytes."""
    if settings.number("autovacuum_work_mem", -1) < 0:
        return settings.bytes("maintenance_work_mem", 64 * _MB)
    return settings.bytes("autovacuum_work_mem")


def _fix(seen: Seen, row: Row, memory: float) -> Fix | None:
    needed = max(2 * memory, 1.2 * _BYTES_A_ROW * row["dead_rows"], _LEAST)
    wanted = -(-min(needed, _MOST) // _MB)
    if not row["auto"] or wanted * _MB <= memory:
        return None
    note = "Each worker may take as much: see that it fits (queen tune-pg computes the whole)."
    return set_system(seen.facts, {"autovacuum_work_mem": f"{wanted:.0f}MB"}, note)


CHECK = Check(
    id="V9",
    group="vacuum",
    title="More than one index pass in a vacuum",
    why="Each pass reads all indexes of the table again, so the vacuum takes a multiple of its time and of the disk.",
    false_positive="A single purge of very many rows.",
    explain="""\
Vacuum remembers the dead rows it has found, in autovacuum_work_mem or else maintenance_work_mem; a VACUUM by hand
always in the latter. When that is full it must go through all indexes before it can go on. From PostgreSQL 17 on it
remembers them so tightly that this hardly happens; before, a row takes 6 bytes and more than 1 GB is not used.

The check looks at the vacuums of Queen's tables that run now; a vacuum that goes through the indexes for a second time
is reported. When none runs there is nothing to find.""",
    evaluate=evaluate,
    queries={"vacuums": Query(_VACUUMS)},
    thresholds={"limit": Threshold(2, None, "passes")},
    needs=(needs.schema, needs.primary, needs.monitor),
)
