"""Q8: the child tables of `messages` are not rotated in time, or not let go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.errors import CannotLook
from queen.settings import EngineSettings
from queen.store.inspect import Row

UNRECORDED_S_MIN: Final = 600.0
"""A closed epoch is settled when the transactions of its time have ended: seconds, as a rule."""

_EPOCHS = """
SELECT e.epoch, e.age_ms::float8 AS age_ms, e.closed_ms::float8 AS closed_ms, e.recorded, e.emptied,
       e.newest_bytes::float8 AS newest_bytes, e.window_s
  FROM {schema}.look_at_epochs() e ORDER BY e.epoch
"""
_SERVERS = """
SELECT count(*)::int AS servers, coalesce(bool_or(r.leads), false) AS leader
  FROM {schema}.running_instances(60000, 1000) r
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """When the leading server opens a child. `source`: who says so."""

    age_ms_min: float
    age_ms_max: float
    bytes_max: float
    epochs_max: int
    source: str


def rules(seen: Seen) -> Rules:
    """Those of the server that was asked; the defaults where none was, or one that does not tell."""
    told = seen.server.status.get("rotation") if seen.server is not None else None
    if seen.server is not None and isinstance(told, Mapping):
        source = f"the settings of {seen.server.url}"
        ages, size = (float(told["ageMsMin"]), float(told["ageMsMax"])), float(told["bytesMax"])
        return Rules(ages[0], ages[1], size, int(told["epochsMax"]), source)
    own = EngineSettings()
    source = "the default settings, for no server told its own (--url)"
    return Rules(own.epoch_age_ms_min, own.epoch_age_ms_max, own.epoch_bytes_max, own.epochs_max, source)


def evaluate(seen: Seen) -> Iterable[Finding]:
    """A finding for a newest child that is overdue, for closed ones that are stuck, and for too many."""
    rows = seen.rows("epochs")
    if not seen.row("servers")["servers"]:
        raise CannotLook("no server runs on this database, so none rotates", hint="queen serve")
    yield from _overdue(seen, rows)
    yield from _stuck(seen, rows)
    yield from _many(seen, rows)


def due_ms(rows: list[Row], by: Rules) -> float:
    """The age at which the newest child should be followed by another, by these rules and with this inflow."""
    newest = rows[-1]
    factor = _stretch(len(rows), by.epochs_max)
    fills_ms: float = newest["age_ms"] * by.bytes_max * factor / max(newest["newest_bytes"], 1.0)
    least_ms = max(by.age_ms_min, newest["window_s"] * 1000 / 3)
    return float(max(least_ms, min(fills_ms, by.age_ms_max * factor)))


def _stretch(epochs: int, epochs_max: int) -> float:
    """More children live longer: from half of the bound on, twice as long with each twentieth of it."""
    return float(2 ** (max(0, epochs - epochs_max // 2) // max(1, epochs_max // 20)))


def _overdue(seen: Seen, rows: list[Row]) -> Iterable[Finding]:
    limit, by = seen.limits["limit"], rules(seen)
    newest = rows[-1]
    if not newest["newest_bytes"] or len(rows) >= by.epochs_max:
        return
    due = due_ms(rows, by)
    behind = newest["age_ms"] / due - 1
    severity = limit.judge(behind)
    if severity is not None:
        yield Finding(
            severity,
            f"messages_{newest['epoch']} should have been followed {(newest['age_ms'] - due) / 60_000:.0f} minutes ago",
            {
                "epochs_behind": round(behind, 1),
                "age_s": round(newest["age_ms"] / 1000),
                "due_at_age_s": round(due / 1000),
                "bytes": int(newest["newest_bytes"]),
                "judged_by": by.source,
                "leader": seen.row("servers")["leader"],
            },
            "The leading server opens them: see its log. upkeep_lock_timeouts in /metrics tells whether it cannot get "
            "the lock; L1 and V6 who holds it.",
            object=f"messages_{newest['epoch']}",
            threshold=limit,
        )


def _stuck(seen: Seen, rows: list[Row]) -> Iterable[Finding]:
    limit = seen.limits["limit"]
    closed = [row for row in rows if row["closed_ms"] is not None and not row["recorded"]]
    stuck = [row for row in closed if row["closed_ms"] >= 1000 * UNRECORDED_S_MIN]
    severity = limit.judge(len(stuck))
    if severity is not None:
        yield Finding(
            severity,
            f"{len(stuck)} closed children of messages are not settled: a transaction of their time is still open",
            {
                "children": [f"messages_{row['epoch']}" for row in stuck[:10]],
                "closed_s_ago": round(max(row["closed_ms"] for row in stuck) / 1000),
            },
            "End the long transaction (V4, V5 and V6 name it); until then none of them can be emptied or dropped.",
            object="closed epochs",
            threshold=limit,
        )


def _many(seen: Seen, rows: list[Row]) -> Iterable[Finding]:
    limit, by = seen.limits["children"], rules(seen)
    most = by.epochs_max
    share = 100 * len(rows) / most
    severity = limit.judge(share)
    if severity is not None:
        yield Finding(
            severity,
            f"messages has {len(rows)} children of {most} at most; at the bound none is opened any more",
            {
                "children": len(rows),
                "children_max": most,
                "emptied": sum(row["emptied"] for row in rows),
                "judged_by": by.source,
            },
            "Let epochs leave: a shorter retention, no abandoned group (Q2), no long transaction (V6). With much to "
            "keep, larger children: engine.epoch_bytes_max.",
            object="children of messages",
            threshold=limit,
        )


CHECK = Check(
    id="Q8",
    group="queues",
    title="Rotation of messages",
    why="Old messages leave by dropping whole children; one that is never closed only grows, and nothing leaves.",
    false_positive="Servers with different engine.epoch_* settings, of which one was asked that does not lead; or none "
    "was asked, and the settings are not the defaults.",
    explain="""\
`messages` is cut into children. The leading server opens the next one when the newest reaches engine.epoch_bytes_max or
engine.epoch_age_ms_max, but not before engine.epoch_age_ms_min and a third of the longest deduplication window. From
the size and age of the newest child follows when it was due; one that is twice as old is one epoch behind. The settings
are those that the server that is asked tells, else the defaults; the evidence says which.

A closed child is settled when every transaction that was open at its close has ended, and can be emptied only then.
The number of children is bounded by engine.epochs_max.""",
    evaluate=evaluate,
    queries={"epochs": Query(_EPOCHS), "servers": Query(_SERVERS)},
    thresholds={"limit": Threshold(1, 2, "epochs"), "children": Threshold(80, 100, "% of the bound")},
    needs=(needs.tables, needs.primary),
)
