"""V11: a table that only grows and that no vacuum has frozen for long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Severity, Threshold
from queen.doctor.shared import TABLES
from queen.doctor.tables import is_off, options, set_options
from queen.store.inspect import Row

_WANTED: Final = {"autovacuum_vacuum_insert_threshold": "2000000", "autovacuum_vacuum_insert_scale_factor": "0"}


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each table with too many inserts since its last vacuum."""
    for row in seen.rows("tables"):
        severity = seen.limits["limit"].judge(row["n_ins_since_vacuum"] or 0)
        if severity is not None:
            yield _finding(seen, row, severity)


def _trigger(seen: Seen, row: Row) -> float | None:
    """Inserts at which autovacuum comes; None: they never call it."""
    own = options(row["reloptions"])
    settings = seen.facts.settings

    def value(name: str, default: float) -> float:
        return float(own.get(name, settings.number(name, default)))

    base = value("autovacuum_vacuum_insert_threshold", 1000)
    if base < 0 or is_off(own.get("autovacuum_enabled", "on")):
        return None
    return base + value("autovacuum_vacuum_insert_scale_factor", 0.2) * max(float(row["reltuples"]), 0)


def _finding(seen: Seen, row: Row, severity: Severity) -> Finding:
    trigger = _trigger(seen, row)
    comes = "inserts never call autovacuum" if trigger is None else f"autovacuum comes at {trigger:.0f}"
    change = set_options(row["name"], row["reloptions"], _WANTED)
    note = "The vacuum reads what was added. The options are undone, the vacuum has no way back and needs none."
    return Finding(
        severity,
        f"{row['name']}: {row['n_ins_since_vacuum']} rows were added since its last vacuum; {comes}",
        {
            "inserts_since_vacuum": row["n_ins_since_vacuum"],
            "trigger_inserts": None if trigger is None else round(trigger),
            "live_rows": row["n_live_tup"],
            "vacuumed_s_ago": row["vacuumed_s_ago"],
            "autovacuum_enabled": options(row["reloptions"]).get("autovacuum_enabled", "on"),
        },
        "Let a count of inserts call its vacuum, and vacuum it once now.",
        object=row["name"],
        threshold=seen.limits["limit"],
        fix=Fix("A", (*change.apply, f"VACUUM {row['name']}"), change.undo, note),
    )


CHECK = Check(
    id="V11",
    group="vacuum",
    title="A growing table that is not frozen",
    why="What is not frozen little by little must be frozen all at once, at a time that nobody chose.",
    false_positive="Children of messages that retention drops before anybody needs them frozen.",
    explain="""\
Messages are only added, so dead rows never call a vacuum for them; inserts do, by autovacuum_vacuum_insert_threshold
and autovacuum_vacuum_insert_scale_factor. Such a vacuum marks pages as visible to all, which index scans profit from,
and freezes rows. When it does not come, a later one that must come (V10) reads and writes the whole table at once.

The check counts rows added since the last vacuum of each table. Children of messages are 1 GiB by default and then
closed, so on a healthy server none gets there.""",
    evaluate=evaluate,
    queries={"tables": TABLES},
    thresholds={"limit": Threshold(10_000_000, None, "inserts since the last vacuum")},
    needs=(needs.schema, needs.primary, needs.old_statistics),
)
