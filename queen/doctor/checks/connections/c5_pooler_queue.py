"""C5: clients that wait for a connection of PgBouncer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Severity, Threshold

_US: Final = 1_000_000


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each pool whose clients wait."""
    pooler = seen.pooler
    if pooler is None:
        return
    for pool in pooler.pools:
        waiting, longest_s = int(pool["cl_waiting"]), _longest_s(pool)
        mean = _mean_waiting(pooler.stats, str(pool["database"]))
        now = seen.limits["limit"].judge(longest_s) if waiting else None
        severity = now or seen.limits["mean"].judge(mean)
        if severity is not None:
            facts = {"cl_waiting": waiting, "maxwait_s": longest_s, "waiting_mean": mean}
            yield _finding(seen, pool, severity, facts, seen.limits["limit" if now else "mean"])


def _finding(
    seen: Seen, pool: Mapping[str, Any], severity: Severity, facts: Mapping[str, Any], limit: Threshold
) -> Finding:
    assert seen.pooler is not None
    name = f"{pool['database']}/{pool['user']}"
    size = seen.pooler.config.get("default_pool_size", "?")
    return Finding(
        severity,
        f"{facts['cl_waiting']} clients of pool {name} wait, the first for {facts['maxwait_s']:.1f} s;"
        f" {facts['waiting_mean']:.1f} on average lately",
        {
            **facts,
            **{key: pool.get(key) for key in ("cl_active", "sv_active", "sv_idle", "sv_used", "pool_mode")},
            "default_pool_size": size,
        },
        "Look for transactions that stay open (V5, V6): each keeps a connection of the pooler. If there is none, raise"
        f" default_pool_size (now {size}) as far as max_connections allows (C2).",
        object=f"pool {name}",
        threshold=limit,
        fix=Fix("E", ("; pgbouncer.ini, then RELOAD on its console", f"default_pool_size = {_larger(size)}")),
    )


def _longest_s(pool: Mapping[str, Any]) -> float:
    return float(pool.get("maxwait") or 0) + float(pool.get("maxwait_us") or 0) / _US


def _mean_waiting(stats: Iterable[Mapping[str, Any]], database: str) -> float:
    """Clients that waited on average over the pooler's last stats_period, a minute by default: it tells the time waited
    in microseconds a second."""
    return next((float(row.get("avg_wait_time") or 0) / _US for row in stats if row["database"] == database), 0.0)


def _larger(size: str) -> int:
    return 2 * int(size) if size.isdigit() else 100


CHECK = Check(
    id="C5",
    group="connections",
    title="Clients wait in PgBouncer",
    why="Every push, pop and ack of the clients behind it waits there first, and no figure of PostgreSQL shows it.",
    false_positive="A start of many clients at once.",
    explain="""\
PgBouncer lets a client wait when all connections of its pool (one pool for each database and role) are in use. SHOW
POOLS tells how many wait now and for how long the first of them, SHOW STATS how much was waited on average over the
last minute.

A transaction that stays open keeps its connection. A few of those empty a pool of any size, so look for them first.""",
    evaluate=evaluate,
    thresholds={
        "limit": Threshold(0.1, 1.0, "s that the first client waits"),
        "mean": Threshold(1.0, 10.0, "clients waiting on average"),
    },
    needs=(needs.pooler,),
)
