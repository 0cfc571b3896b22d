"""How this process is: processor, memory, connections, requests; sampled every few seconds, summed up by the minute."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

from queen.engine.limits import Limits
from queen.engine.memory import Memory, rss_bytes
from queen.engine.pulse import Pulse
from queen.engine.stats import Stats
from queen.store.base import Store

Reading = dict[str, dict[str, float]]
"""part → name → value."""


@dataclass(slots=True)
class _Gauge:
    sum: float
    min: float
    max: float
    last: float
    count: int = 1

    def add(self, value: float) -> None:
        self.sum += value
        self.min, self.max, self.last = min(self.min, value), max(self.max, value), value
        self.count += 1

    def summary(self) -> dict[str, float]:
        return {
            "avg": round(self.sum / self.count, 3),
            "min": round(self.min, 3),
            "max": round(self.max, 3),
            "last": round(self.last, 3),
        }


class Gauges:
    """Sums up what `read` says at each sample."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read
        self._gauges: dict[str, dict[str, _Gauge]] = {}

    def sample(self) -> None:
        """Read once."""
        for part, values in self._read().items():
            known = self._gauges.setdefault(part, {})
            for name, value in values.items():
                gauge = known.get(name)
                if gauge is None:
                    known[name] = _Gauge(value, value, value, value)
                else:
                    gauge.add(value)

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """avg, min, max and last of each value since the last `clear`."""
        return {part: {name: one.summary() for name, one in values.items()} for part, values in self._gauges.items()}

    def clear(self) -> None:
        """Begin anew."""
        self._gauges.clear()


class Vitals:
    """Reads the values of one engine. Rates are those since the reading before."""

    def __init__(self, store: Store, stats: Stats, limits: Limits, memory: Memory, pulse: Pulse) -> None:
        self._store = store
        self._stats = stats
        self._limits = limits
        self._memory = memory
        self._pulse = pulse
        self._before: dict[str, float] = {}
        self._at = time.monotonic()
        self.read()

    def read(self) -> Reading:
        """The values now: cpu in percent of one core, memory in bytes, database in connections and ms, requests in
        numbers per second. What nothing tells of just now (a wait, where nobody waited) is left out."""
        usage, counters, waits = resource.getrusage(resource.RUSAGE_SELF), self._stats.counters, self._store.waits
        now = {
            "user": usage.ru_utime * 100,
            "system": usage.ru_stime * 100,
            "push": counters.push_requests,
            "pop": counters.pop_requests,
            "ack": counters.ack_requests,
            "messages": counters.push_messages,
            "waits": waits.count,
            "wait_us": waits.sum,
        }
        before, self._before = self._before or now, now
        since, self._at = self._at, time.monotonic()
        elapsed_s = max(self._at - since, 1e-3)
        grown = {name: value - before[name] for name, value in now.items()}
        pool = self._store.stats()
        database = {
            "size": float(pool.get("size", 0)),
            "idle": float(pool.get("idle", 0)),
            "waiting": float(pool.get("waiting", 0)),
        }
        if grown["waits"]:
            database["waitMs"] = grown["wait_us"] / grown["waits"] / 1000
        return {
            "cpu": {name: grown[name] / elapsed_s for name in ("user", "system")},
            "memory": {"rssBytes": float(rss_bytes()), "usedBytes": float(self._memory.used)},
            "database": database,
            "eventLoop": {"lagMs": self._pulse.lag_ms},
            "requests": {
                **{f"{name}PerSecond": grown[name] / elapsed_s for name in ("push", "pop", "ack", "messages")},
                "parkedPolls": float(self._limits.parked_polls),
            },
        }
