"""C2: what all live instances of Queen, a pooler and others may open together, against max_connections."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.pools import INSTANCES, SESSIONS, Sum, add_up
from queen.store.budget import EXTRA


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when the sum does not fit."""
    found = add_up(seen, seen.rows("instances"), seen.rows("sessions"))
    share = 100 * found.needed / max(found.max_connections, 1)
    severity = seen.limits["limit"].judge(share)
    if severity is None or not found.instances:
        return
    fitting = _fitting(found, seen.limits["limit"].warn or 100.0)
    yield Finding(
        severity,
        f"{len(found.instances)} processes of Queen, {found.others} sessions of others and {found.reserved} reserved"
        f" need {found.needed} of {found.max_connections} connections",
        {**found.evidence(), "needed_pct": round(share, 1), "pool_size_fitting": fitting},
        _remedy(found, fitting),
        object="max_connections",
        threshold=seen.limits["limit"],
        fix=Fix("E", (f"DB_POOL_SIZE={fitting} queen serve",)) if fitting >= 1 and not found.pooled else None,
    )


def _fitting(found: Sum, warn_pct: float) -> int:
    """The pool of each process with which the sum stays below the threshold."""
    free = int(found.max_connections * warn_pct / 100 - 0.001) - found.others - found.reserved - found.through_pooler
    return free // max(1, len(found.instances)) - EXTRA


def _remedy(found: Sum, fitting: int) -> str:
    raised = int(found.needed * 1.2) + 1
    if found.pooled:
        return (
            "Lower default_pool_size of the pooler, or raise max_connections of PostgreSQL to"
            f" {raised} (ALTER SYSTEM, then a restart)."
        )
    smaller = f"Start each process with DB_POOL_SIZE={fitting} at most, " if fitting >= 1 else "Run fewer instances, "
    return f"{smaller}raise max_connections to {raised} (ALTER SYSTEM, then a restart), or put PgBouncer in between."


CHECK = Check(
    id="C2",
    group="connections",
    title="Sum of all pools against max_connections",
    why="Pools grow under load: a sum that does not fit is felt exactly when the queue is needed most.",
    false_positive="Others that have many sessions open just now and will not have them under load.",
    explain="""\
Each process of Queen may open database.pool_size connections, and two more: its listener, and one for administration.
Workers of one instance share its pool. The processes that gave a sign of life in the last five seconds are added up;
others count with the sessions they have now, since nobody knows their peak; the reserved ones come on top.

Where the servers go through a transaction pooler, their pools cost PostgreSQL nothing. What counts instead is what
the pooler may open, by its console (--pooler-admin), or what it has open where no console is known.""",
    evaluate=evaluate,
    queries={"instances": INSTANCES, "sessions": SESSIONS},
    thresholds={"limit": Threshold(80, 100, "% of max_connections")},
    needs=(needs.schema, needs.monitor),
)
