"""V8: autovacuum sleeps on its cost delay for most of its time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.facts import ServerSettings
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.shared import WORKERS
from queen.doctor.system import set_system
from queen.doctor.tables import VACUUM_AT, options, set_options
from queen.store.inspect import Row

_SLEEP: Final = "Timeout:VacuumDelay"
_LIMIT: Final = 2000
_SAMPLES_MIN: Final = 3  # of workers; fewer make no share


def evaluate(seen: Seen) -> Iterable[Finding]:
    """At most one finding: workers sleep for most of their time, and one of them has been at its table for long."""
    looks = sum(seen.waits.vacuum.values())
    if looks < _SAMPLES_MIN:
        return
    share = 100 * seen.waits.vacuum.get(_SLEEP, 0) / looks
    severity = seen.limits["limit"].judge(share)
    long = [row for row in seen.rows("workers") if seen.limits["running"].judge(row["running_s"] or 0.0)]
    if severity is None or not long:
        return
    limit, delay_ms = _limit(seen.facts.settings), _delay_ms(seen.facts.settings)
    yield Finding(
        severity,
        f"autovacuum sleeps {share:.0f} % of its time (cost limit {limit:.0f}, delay {delay_ms:g} ms)",
        {
            "asleep_pct": round(share, 1),
            "worker_samples": looks,
            "cost_limit": limit,
            "cost_delay_ms": delay_ms,
            "running_s": {_name(row): round(row["running_s"], 1) for row in long},
            "own_cost_options": {_name(row): own for row in long if (own := _own(row))},
        },
        f"Raise autovacuum_vacuum_cost_limit to {_LIMIT} or more, which all workers share; let changing tables, and "
        "those with cost options of their own, not pause. Before PostgreSQL 16 it counts from the next table on.",
        object="autovacuum_vacuum_cost_limit",
        threshold=seen.limits["limit"],
        fix=_fix(seen, long, limit),
    )


def _name(row: Row) -> str:
    return str(row["name"] or f"{row['database']}: {row['task']}")


def _own(row: Row) -> dict[str, str]:
    """Cost options of the table itself; they outrank those of the server."""
    return {name: value for name, value in options(row["reloptions"]).items() if "_cost_" in name}


def _limit(settings: ServerSettings) -> float:
    own = settings.number("autovacuum_vacuum_cost_limit", -1)
    return own if own > 0 else settings.number("vacuum_cost_limit", 200)


def _delay_ms(settings: ServerSettings) -> float:
    own = settings.number("autovacuum_vacuum_cost_delay", 2)
    return own if own >= 0 else settings.number("vacuum_cost_delay", 0)


def _fix(seen: Seen, long: list[Row], limit: float) -> Fix | None:
    for row in long:
        if row["name"] and (_own(row) or row["relname"] in VACUUM_AT):
            return set_options(row["name"], row["reloptions"], {"autovacuum_vacuum_cost_delay": "0"})
    if limit >= _LIMIT:
        return None
    return set_system(seen.facts, {"autovacuum_vacuum_cost_limit": str(_LIMIT)})


CHECK = Check(
    id="V8",
    group="vacuum",
    title="Vacuum sleeps on its cost delay",
    why="A vacuum that sleeps comes late to the tables after it, so dead rows pile up faster than they are removed.",
    false_positive="A disk so slow that vacuum must be held back; then give the queue a better one.",
    explain="""\
Vacuum counts what its page reads and writes cost, and sleeps for autovacuum_vacuum_cost_delay whenever the sum passes
autovacuum_vacuum_cost_limit. The defaults, 200 and 2 ms, were made for disks of long ago; all workers share the limit.

Ten times a second within the window the check looks whether each worker sleeps. It fires when they sleep for most of
their time and one of them has been at the same table for longer than "running", a minute: a vacuum that ends sooner
keeps up, however it does it, and where no worker is at work nothing is late. Queen's own changing tables have a delay
of 0 (V3), so it is mostly at other tables that workers sleep, and are then missing (V7).""",
    evaluate=evaluate,
    queries={"workers": WORKERS},
    thresholds={
        "limit": Threshold(50, None, "% of run time"),
        "running": Threshold(60, None, "s at one table"),
    },
    needs=(needs.primary, needs.monitor),
    delta=True,
)
