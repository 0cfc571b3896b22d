"""V7: all workers of autovacuum are busy while a changing table waits for one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.checks.vacuum.v1_dead_rows import trigger_of
from queen.doctor.facts import ServerSettings
from queen.doctor.finding import Finding, Fix, Severity, Threshold
from queen.doctor.shared import TABLES, WORKERS
from queen.doctor.system import set_system
from queen.doctor.tables import VACUUM_AT
from queen.store.inspect import Row

_WORKERS_MAX: Final = 8  # more read and write against each other


def evaluate(seen: Seen) -> Iterable[Finding]:
    """At most one finding: every worker was busy with the same work in both samples, and a table waits."""
    allowed = allowed_workers(seen.facts.settings)
    busy = _busy_all_along(seen)
    waiting = _waiting(seen)
    if len(busy) < allowed or not waiting:
        return
    # Workers that have just begun will be free again soon.
    severity = seen.limits["limit"].judge(min(row["running_s"] for row in busy))
    if severity is not None:
        yield _finding(seen, allowed, busy, waiting, severity)


def allowed_workers(settings: ServerSettings) -> int:
    """Workers that may run at once; from 18 on no more than there are slots."""
    most = int(settings.number("autovacuum_max_workers", 3))
    return min(most, int(settings.number("autovacuum_worker_slots", most)))


def _busy_all_along(seen: Seen) -> list[Row]:
    before = {(row["pid"], row["task"]) for row in seen.first["workers"]}
    return [row for row in seen.rows("workers") if (row["pid"], row["task"]) in before and row["running_s"] is not None]


def _waiting(seen: Seen) -> dict[str, float]:
    """Changing tables that were past their trigger in both samples, and that no worker is at: how far past."""
    served = {row["relid"] for row in seen.rows("workers") if row["ours"]}
    late = _past_trigger(seen, seen.first["tables"])
    now = _past_trigger(seen, seen.rows("tables"))
    return {row["name"]: now[oid] for oid, row in _changing(seen.rows("tables")) if oid in late and oid in now
            and oid not in served}  # fmt: skip


def _past_trigger(seen: Seen, rows: list[Row]) -> dict[int, float]:
    ratios = {oid: row["n_dead_tup"] / max(trigger_of(seen.facts.settings, row), 1.0) for oid, row in _changing(rows)}
    return {oid: round(ratio, 2) for oid, ratio in ratios.items() if ratio >= 1}


def _changing(rows: list[Row]) -> list[tuple[int, Row]]:
    return [(int(row["relid"]), row) for row in rows if row["relname"] in VACUUM_AT]


def _finding(seen: Seen, allowed: int, busy: list[Row], waiting: dict[str, float], severity: Severity) -> Finding:
    shortest = min(row["running_s"] for row in busy)
    names = ", ".join(sorted(waiting))
    evidence: dict[str, Any] = {
        "workers": allowed,
        "busy_with": {row["name"] or f"{row['database']}: {row['task']}": round(row["running_s"], 1) for row in busy},
        "shortest_run_s": round(shortest, 1),
        "waiting": waiting,
    }
    return Finding(
        severity,
        f"all {allowed} autovacuum workers are busy for {shortest:.0f} s or more, and {names} waits",
        evidence,
        f"VACUUM {names} by hand now. Then allow more workers, and see V8: they share one cost limit, so more of them "
        "alone make each slower.",
        object="autovacuum_max_workers",
        threshold=seen.limits["limit"],
        fix=_fix(seen, allowed),
    )


def _fix(seen: Seen, allowed: int) -> Fix | None:
    slots = int(seen.facts.settings.number("autovacuum_worker_slots", _WORKERS_MAX))
    wanted = min(allowed + 2, _WORKERS_MAX, slots)
    if wanted <= allowed:
        return None
    return set_system(seen.facts, {"autovacuum_max_workers": str(wanted)})


CHECK = Check(
    id="V7",
    group="vacuum",
    title="Autovacuum workers are all busy",
    why="A small table that changes with each message starves behind one huge table, and look-ups in it get dearer.",
    false_positive="A nightly load of something else in the same server.",
    explain="""\
autovacuum_max_workers tables can be vacuumed at once in the whole server, other databases included. When each worker is
at a large table, Queen's small ones wait, however many dead rows they have.

The check fires when the same work kept every worker busy in both samples, each for longer than the threshold, while one
of Queen's changing tables was past its trigger in both and no worker was at it. Workers can be added by a reload from
PostgreSQL 18 on, as far as autovacuum_worker_slots goes; before, that needs a restart, and until then a VACUUM by hand,
or one from a scheduler every few seconds, helps at once.""",
    evaluate=evaluate,
    queries={"workers": WORKERS, "tables": TABLES},
    thresholds={"limit": Threshold(20, 600, "s that every worker has been busy")},
    needs=(needs.schema, needs.primary, needs.monitor),
    delta=True,
)
