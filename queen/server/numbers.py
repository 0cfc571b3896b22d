"""The numbers of this process, of the whole instance, and the line of them that goes to the log.

Knows what is counted where; how it is shown over HTTP is the matter of `metrics`.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable
from typing import Any, Final

from queen.engine.board import Numbers, Seat
from queen.engine.engine import Engine
from queen.engine.memory import rss_bytes
from queen.measure.buckets import Buckets

log = logging.getLogger(__name__)

PUBLISH_S: Final = 0.25
"""How old the numbers of another process of the instance may be."""

_COUNTED_SIZES: Final = ("refused", "memory_refused", "memory_closings", "push_flushes", "pop_flushes", "ack_flushes")
_POOL_GAUGES: Final = ("size", "idle", "waiting", "away", "peak")
REFUSED: Final = "refused:"
"""With the code of an error behind it: how many requests were refused with that."""
SLOW: Final = "slow_flush:"
"""With a word behind it: how many flushes were slow and ended so."""
VERBS: Final = ("push", "pop", "ack")


def measure(engine: Engine, pool_size: int) -> Numbers:
    """What this process counted and has now. `pool_size`: the most connections that it may have."""
    sizes, pool = engine.sizes(), engine.store.stats()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    message_rate, request_rate = engine.stats.rates()
    totals = engine.stats.snapshot() | {name: sizes.pop(name) for name in _COUNTED_SIZES}
    totals |= {"cpu_user_us": int(usage.ru_utime * 1_000_000), "cpu_system_us": int(usage.ru_stime * 1_000_000)}
    totals |= {f"pool_{name}": value for name, value in pool.items() if name not in _POOL_GAUGES}
    totals |= {f"{REFUSED}{code}": number for code, number in engine.stats.refusals.totals.items()}
    totals |= {f"{SLOW}{kind}": number for kind, number in engine.slow_flushes.totals.items()}
    gauges: dict[str, float] = {**sizes, **{f"pool_{name}": pool[name] for name in _POOL_GAUGES}}
    gauges |= {
        "pool_size_max": pool_size,
        "rss_bytes": rss_bytes(),
        "rss_peak_bytes": usage.ru_maxrss * 1024,
        "message_rate": message_rate,
        "request_rate": request_rate,
        "loop_lag_ms": engine.pulse.lag_ms,
    }
    # Copies: whoever keeps them compares with what is counted later.
    return Numbers(totals, gauges, {name: one.copy() for name, one in engine.buckets().items()})


def of_instance(engine: Engine, pool_size: int, seat: Seat | None) -> Numbers:
    """The numbers of all processes of the instance; of this one as of now."""
    own = measure(engine, pool_size)
    if seat is None:
        own.gauges["workers"] = 1
        own.totals["worker_restarts"] = 0
        return own
    seat.publish(own)
    return seat.board.total()


class Publisher:
    """Shows this process's numbers to the others at each tick."""

    def __init__(self, engine: Engine, pool_size: int, seat: Seat) -> None:
        self._engine = engine
        self._pool_size = pool_size
        self._seat = seat

    async def tick(self) -> None:
        self._seat.publish(measure(self._engine, self._pool_size))


class Lines:
    """Writes a line of numbers at each tick: what happened since the last one."""

    def __init__(self, numbers: Callable[[], Numbers]) -> None:
        self._numbers = numbers
        self._before, self._at = numbers(), time.monotonic()

    async def tick(self) -> None:
        now, at = self._numbers(), time.monotonic()
        log.info("metrics", extra=line(self._before, now, max(at - self._at, 1e-3)))
        self._before, self._at = now, at


def line(before: Numbers, now: Numbers, elapsed_s: float) -> dict[str, Any]:
    """The facts of one line: what happened between the two, and what there is at its end.

    Rates are messages a second; times of no request are left out.
    """
    facts: dict[str, Any] = {}
    for verb in VERBS:
        facts[f"{verb}_per_s"] = round(_since(before, now, f"{verb}_messages") / elapsed_s, 1)
    for verb in VERBS:
        times = _buckets_since(before, now, f"{verb}_us")
        for percent in (50, 99):
            facts[f"{verb}_p{percent}_ms"] = milliseconds(times.percentile(percent))
    for verb in VERBS:
        mean = _buckets_since(before, now, f"{verb}_flush_entries").mean()
        facts[f"{verb}_batch"] = None if mean is None else round(mean, 1)
    for name in ("pool_size", "pool_idle", "pool_waiting", "parked_polls", "ready_partitions", "pending_push_bytes"):
        facts[name] = int(now.gauges.get(name, 0))
    facts["refused"] = _since(before, now, "requests_refused")
    facts["failed"] = _since(before, now, "requests_failed")
    return {name: value for name, value in facts.items() if value is not None}


def milliseconds(us: float | None) -> float | None:
    """Microseconds as milliseconds, for people."""
    return None if us is None else round(us / 1000, 3)


def _since(before: Numbers, now: Numbers, name: str) -> int:
    return now.totals.get(name, 0) - before.totals.get(name, 0)


def _buckets_since(before: Numbers, now: Numbers, name: str) -> Buckets:
    later = now.buckets.get(name) or Buckets()
    return later.minus(before.buckets.get(name) or Buckets())
