"""C4: a pool with many more open connections than are ever used at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.pools import connections_of, history

_OPEN_MIN: Final = 20
"""Fewer idle sessions cost PostgreSQL nothing that can be measured."""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when hardly any of the open connections was used in the last hour."""
    now = connections_of(seen.server)
    open_, peak = int(now.get("size", 0)), int(now.get("peakLastHour", 0))
    if open_ < _OPEN_MIN or _age_s(seen) < (seen.limits["age"].warn or 0.0):
        return
    used_pct = 100 * peak / open_
    severity = seen.limits["limit"].judge_low(used_pct)
    if severity is None:
        return
    enough = max(4, 2 * peak)
    yield Finding(
        severity,
        f"{open_} connections are open, and at most {peak} were in use at once in the last hour",
        {
            "open": open_,
            "pool_size": now.get("sizeMax"),
            "peak_last_hour": peak,
            "peak_since_start": now.get("peak"),
            "used_pct": round(used_pct, 1),
            "enough": enough,
        },
        f"A pool of {enough} would do. Idle sessions make every snapshot of PostgreSQL dearer and take memory"
        " each. Where the pool is large for high-performance mode alone: --high-perf keeps it with a smaller one.",
        threshold=seen.limits["limit"],
        fix=Fix("E", (f"DB_POOL_SIZE={enough} HIGH_PERF=true queen serve",)),
    )


def _age_s(seen: Seen) -> float:
    since = seen.server.history.get("since") if seen.server is not None else None
    if not isinstance(since, str):
        return 0.0
    return (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()


CHECK = Check(
    id="C4",
    group="connections",
    title="A pool far larger than what is used",
    why="Idle sessions make snapshots dearer, which every statement of the queue takes, and each keeps memory.",
    false_positive="A quiet hour; the pool closes idle connections by itself after database.connection_idle_ms_max.",
    explain="""\
A server of Queen gathers many requests into few calls, so it rarely uses many connections at once. This check
compares what is open now with the most that were in use at once in the last hour, over all worker processes of the
instance (of several the peaks are added, so the truth may be smaller).

Connections that were opened under load and are idle are closed after database.connection_idle_ms_max, ten minutes by
default. What may be opened but is not costs nothing: it is counted by C2.""",
    evaluate=evaluate,
    thresholds={
        "limit": Threshold(20, None, "% of the open connections"),
        "age": Threshold(3600, None, "s that the server must have run"),
    },
    needs=(needs.server, history),
)
