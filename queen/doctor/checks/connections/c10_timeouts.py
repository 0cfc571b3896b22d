"""C10: requests that got no connection in time ("timeout exceeded when trying to connect"), as the server remembers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.pools import INSTANCES, SESSIONS, add_up, connections_of, history, times_of, troubles_of
from queen.doctor.timeout_advice import Load, advise

_EVENTS_SHOWN: Final = 5


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when there were time-outs: in the last hour by their number, earlier ones for information."""
    total = troubles_of(seen.server).get("timeout", 0)
    if not total or seen.server is None:
        return
    told = seen.server.history
    lately = sum(minute["counts"].get("timeout", 0) for minute in told["pool"]["minutes"])
    events = [event for event in told["pool"]["events"] if event["kind"] == "timeout"]
    connections = connections_of(seen.server)
    found = add_up(seen, seen.rows("instances"), seen.rows("sessions"))
    load = _load(seen, events, connections)
    workers = int(seen.server.metrics.get("workers", {}).get("count", 1))
    advice = advise(load, found.budget(load.pool_size, workers), found.pooled)
    holds, waits = times_of(connections["holds"]), times_of(connections["waits"])
    yield Finding(
        seen.limits["limit"].judge(lately) or "info",
        f'"timeout exceeded when trying to connect": {lately} times in the last hour, {total} since the start',
        {
            "last_hour": lately,
            "since_start": total,
            "since": told["since"],
            "pool_size": load.pool_size,
            "connection_timeout_ms": load.timeout_ms,
            "longest_wait_ms": max((event["ms"] for event in events), default=None),
            "waiting_most": load.waiting,
            "in_use_mean": round(load.in_use_mean, 2),
            "hold_mean_ms": round(load.hold_ms, 2),
            "database_busy_pct": None if load.busy is None else round(100 * load.busy),
            "work": _work(events),
            "last": [
                {key: event[key] for key in ("at", "ms", "waiting", "count")} for event in events[-_EVENTS_SHOWN:]
            ],
            **{name: value for name, value in found.evidence().items() if name != "queen"},
            "instances": len(found.instances),
        },
        advice.text,
        object="database.pool_size",
        threshold=seen.limits["limit"],
        at_stake=stake.little((waits.mean() or 0.0) / 1000, (holds.mean() or 0.0) / 1000),
        fix=Fix("E", (advice.command,)) if advice.command else None,
    )


def _load(seen: Seen, events: list[Mapping[str, Any]], connections: Mapping[str, Any]) -> Load:
    """How the pools were used, since the start of the instance."""
    holds = times_of(connections["holds"])
    uptime_s = float(seen.server.metrics.get("uptime", 0)) if seen.server is not None else 0.0
    return Load(
        pool_size=int(connections["sizeMax"]),
        timeout_ms=int(connections["timeoutMs"]),
        waiting=max((event["waiting"] + 1 for event in events), default=1),
        in_use_mean=holds.sum / 1_000_000 / uptime_s if uptime_s else 0.0,
        hold_ms=(holds.mean() or 0.0) / 1000,
        slow_calls=troubles_of(seen.server).get("slow_call", 0) + troubles_of(seen.server).get("overrun", 0),
        busy=_busy(seen),
    )


def _busy(seen: Seen) -> float | None:
    """Share of the processors of the database's machine that worked inside the window, 0 to 1; None elsewhere."""
    now, before = seen.host, seen.host_before
    if now is None or before is None or now.at <= before.at:
        return None
    return (now.busy_s - before.busy_s) / (now.at - before.at) / (os.cpu_count() or 1)


def _work(events: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for event in events:
        for name, count in event["work"].items():
            found[name] = found.get(name, 0) + count
    return dict(sorted(found.items(), key=lambda one: -one[1]))


CHECK = Check(
    id="C10",
    group="connections",
    title="Pool time-outs",
    why="Each is a request that was answered 503 after it had waited; its client has to repeat it.",
    false_positive="Time-outs while PostgreSQL was restarted or moved; the outages of the server's history show it.",
    explain="""\
A request that gets no connection of the pool within database.connection_timeout_ms ends with "timeout exceeded when
trying to connect". The server counts them by the minute for an hour, in total since its start, and remembers the last
ones with their waits and the calls they happened to: GET /api/v1/status, history.pool. Workers of the instance are
added up.

What to do depends on why all connections were in use, and the remedy says which of these it is:
- many short calls, and a database with time left: more connections, if max_connections has room for the sum (C2);
- a database whose processors are busy: more connections would make each call slower, and nothing faster;
- calls that hold a connection for seconds: a lock, a slow statement, a disk that stands still. By Little's law the
  pool is large enough on average, and more connections would only wait at the same place;
- no room in max_connections: new connections would be refused.""",
    evaluate=evaluate,
    queries={"instances": INSTANCES, "sessions": SESSIONS},
    thresholds={"limit": Threshold(1, 100, "time-outs in the last hour")},
    needs=(needs.server, history, needs.schema, needs.monitor),
    delta=True,
)
