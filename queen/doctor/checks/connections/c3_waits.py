"""C3: calls of a server that wait for a pooled connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Severity, Threshold
from queen.doctor.pools import connections_of, history, times_between, troubles_of
from queen.measure.buckets import Buckets

CALLS_MIN: Final = 50
"""Of fewer calls the longest wait decides p99, and one pause of the machine would be a finding."""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when calls waited for long inside the window, or in vain."""
    now, before = connections_of(seen.server), connections_of(seen.server_before)
    waits = times_between(before.get("waits", {}), now.get("waits", {}))
    holds = times_between(before.get("holds", {}), now.get("holds", {}))
    if waits is None or holds is None:
        return
    timeouts = _timeouts(seen)
    p99_ms = (waits.percentile(99) or 0.0) / 1000
    severity = _severity(seen, waits, p99_ms, timeouts)
    if severity is None:
        return
    wait_ms, hold_ms = (waits.mean() or 0.0) / 1000, (holds.mean() or 0.0) / 1000
    vain = f", {timeouts} in vain" if timeouts else ""
    yield Finding(
        severity,
        f"calls wait {p99_ms:.1f} ms (p99) for one of {now.get('sizeMax')} connections{vain}",
        {
            "wait_p99_ms": round(p99_ms, 2),
            "wait_mean_ms": round(wait_ms, 2),
            "hold_mean_ms": round(hold_ms, 2),
            "calls": waits.count,
            "window_s": round(seen.window_s, 1),
            "timeouts": timeouts,
            "pool_size": now.get("sizeMax"),
            "waiting_now": now.get("waiting"),
            "in_use_mean": round(_in_use(holds, seen), 2),
        },
        "Fewer round trips a message first: larger batches of pushes, pops and acks. Then look at what holds"
        " connections (S1, L1, L4); then give the pool more of them, as C10 says.",
        threshold=seen.limits["limit"],
        at_stake=stake.little(wait_ms, hold_ms),
    )


def _severity(seen: Seen, waits: Buckets, p99_ms: float, timeouts: int) -> Severity | None:
    if timeouts:
        return "crit"
    return seen.limits["limit"].judge(p99_ms) if waits.count >= CALLS_MIN else None


def _timeouts(seen: Seen) -> int:
    return max(0, troubles_of(seen.server).get("timeout", 0) - troubles_of(seen.server_before).get("timeout", 0))


def _in_use(holds: Buckets, seen: Seen) -> float:
    """Little's law: calls a second times the seconds that each holds a connection."""
    if seen.server is None or seen.server_before is None:
        return 0.0
    return holds.sum / 1_000_000 / max(seen.server.at - seen.server_before.at, 0.001)


CHECK = Check(
    id="C3",
    group="connections",
    title="Waiting for a pooled connection",
    why="The wait is part of every push and pop; and a line that grows ends in time-outs.",
    false_positive="A burst of management calls, such as a page of the browser that is opened.",
    explain="""\
A server of Queen counts how long each call of the database waited for a connection of its pool, and how long it held
it. This check takes the difference of two looks and tells the 99th percentile of the waits between them, over all
worker processes of the instance.

By Little's law calls a second times the time each holds a connection is the number of connections in use on average.
A pool much larger than that waits for other reasons than its size: something holds connections for long, now and
then.

The percentile comes from buckets that double in width, so it is right within a factor of two, mostly much better.""",
    evaluate=evaluate,
    thresholds={"limit": Threshold(5, 50, "ms")},
    needs=(needs.server, history),
    delta=True,
)
