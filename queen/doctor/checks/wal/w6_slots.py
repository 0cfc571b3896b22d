"""W6: replication slots that keep the log from being removed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import SEVERITIES, Finding, Fix, Severity, Threshold
from queen.doctor.system import literal, set_system
from queen.doctor.wal import megabytes
from queen.store.inspect import Row

_LOST: Final[dict[str, Severity]] = {"unreserved": "warn", "lost": "crit"}

# On a standby the newest position is what it has replayed.
_SLOTS = """
SELECT slot_name::text AS slot_name, slot_type, active, wal_status, safe_wal_size::float8 AS safe_bytes,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                       restart_lsn)::float8 AS kept_bytes
  FROM pg_replication_slots ORDER BY slot_name
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each slot that keeps too much, or has lost what it needs."""
    for row in seen.rows("slots"):
        severity = _severity(seen, row)
        if severity is not None:
            yield _finding(seen, row, severity)


def _severity(seen: Seen, row: Row) -> Severity | None:
    kept, free = row["kept_bytes"] or 0.0, _free(seen)
    found = [
        _LOST.get(row["wal_status"] or ""),
        seen.limits["limit"].judge(kept / free) if free else None,
        seen.limits["size"].judge(kept / max(seen.facts.settings.bytes("max_wal_size"), 1.0)),
    ]
    return max((one for one in found if one), key=lambda one: SEVERITIES[one], default=None)


def _free(seen: Seen) -> float | None:
    """Free bytes where the log is; None when that is not known here."""
    disk = seen.host.wal_disk if seen.host else None
    return float(max(disk.free, 1)) if disk else None


def _finding(seen: Seen, row: Row, severity: Severity) -> Finding:
    kept, free = row["kept_bytes"], _free(seen)
    state = "active" if row["active"] else "inactive"
    what = f"keeps {megabytes(kept):g} MB of log" if kept is not None else f"is {row['wal_status']}"
    return Finding(
        severity,
        f"{state} slot {row['slot_name']} {what}",
        {
            "slot": row["slot_name"],
            "slot_type": row["slot_type"],
            "active": row["active"],
            "wal_status": row["wal_status"],
            "kept_MB": None if kept is None else megabytes(kept),
            "safe_MB": None if row["safe_bytes"] is None else megabytes(row["safe_bytes"]),
            "free_MB": None if free is None else megabytes(free),
            "max_wal_size_MB": megabytes(seen.facts.settings.bytes("max_wal_size")),
        },
        _remedy(row),
        object=f"slot {row['slot_name']}",
        threshold=_passed(seen, kept or 0.0, free),
        fix=_fix(seen, row),
    )


def _passed(seen: Seen, kept: float, free: float | None) -> Threshold | None:
    """The threshold that it is beyond; None: it is named for its state alone."""
    if free and seen.limits["limit"].judge(kept / free):
        return seen.limits["limit"]
    size = seen.limits["size"]
    return size if size.judge(kept / max(seen.facts.settings.bytes("max_wal_size"), 1.0)) else None


def _remedy(row: Row) -> str:
    if row["wal_status"] == "lost":
        return "What it needs is gone: its consumer has to start anew. Drop the slot."
    bound = "Bound what a slot may keep with max_slot_wal_keep_size: a lost slot is better than a full disk."
    if row["active"]:
        return f"Its consumer is too slow: help it. {bound}"
    return f"Start its consumer again, or drop the slot if nobody reads it. {bound}"


def _fix(seen: Seen, row: Row) -> Fix | None:
    if not row["active"]:
        statement = f"SELECT pg_drop_replication_slot({literal(row['slot_name'])})"
        return Fix("D", (statement,), note="Its consumer has to start anew.")
    if seen.facts.settings.number("max_slot_wal_keep_size", -1) >= 0:
        return None
    twice = 2 * seen.facts.settings.bytes("max_wal_size")
    return set_system(seen.facts, {"max_slot_wal_keep_size": f"{megabytes(twice):.0f}MB"})


CHECK = Check(
    id="W6",
    group="wal",
    title="Log kept for replication slots",
    why="A slot whose consumer is away keeps every byte of log until the disk is full, and then nothing can be pushed.",
    false_positive="A standby that was stopped on purpose and will be back soon.",
    explain="""\
Each slot remembers the oldest position that its consumer still needs; the log from there on stays. This check measures
that for every slot, and compares it with the free space where the log is (known when PostgreSQL runs on this machine
and its folder can be looked at) and with max_wal_size.

wal_status says how it ends: "extended" is more than max_wal_size, "unreserved" will be removed at the next checkpoint,
"lost" is gone. The last two exist where max_slot_wal_keep_size bounds what a slot may keep. The default keeps all.

An inactive slot can be dropped, with your consent: its consumer then begins anew.""",
    evaluate=evaluate,
    queries={"slots": Query(_SLOTS)},
    thresholds={
        "limit": Threshold(0.25, 0.75, "of the free disk"),
        "size": Threshold(4, None, "× max_wal_size"),
    },
)
