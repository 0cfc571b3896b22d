"""The numbers of an instance as JSON (http-api.md §8.2) and in the Prometheus text format."""

from __future__ import annotations

import itertools
import os
import resource
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from queen import __version__
from queen.measure.buckets import Buckets, upper_bound

if TYPE_CHECKING:
    from queen.server.context import Context
    from queen.store.pool import Pool

_COUNTERS = {
    "push_requests": "Push requests answered.",
    "push_messages": "Messages stored by push.",
    "push_duplicates": "Pushed messages that were stored before.",
    "push_failed": "Pushed messages that were not stored.",
    "push_repeats": "Database operations of pushes that were repeated, because their connection broke.",
    "pop_requests": "Pop requests answered.",
    "pop_messages": "Messages delivered by pop.",
    "pop_empty": "Pop requests that found nothing.",
    "ack_requests": "Ack requests answered.",
    "ack_messages": "Messages acknowledged, with whatever status.",
    "ack_rejected": "Acknowledgements that changed nothing: stale lease, unknown transaction id.",
    "dead_letters": "Messages moved to the dead letters.",
    "leases_extended": "Leases extended.",
    "leases_expired": "Leases of this instance that ran out before they were settled.",
}
_SIZES = {
    "pending_push_bytes": "Bytes of pushes that wait for the database.",
    "parked_polls": "Polls that wait for messages.",
    "leases": "Leases handed out by this instance and not settled.",
}
_POOL = {
    "size": "Open connections.",
    "idle": "Connections that nobody uses just now.",
    "waiting": "Requests that wait for a connection.",
    "away": "1 while the database is away, and requests are refused at once.",
}
_POOL_TOTALS = {
    "timeout": ("timeouts", "Requests that got no connection in time."),
    "refused": ("refused", "Requests that were refused because the line for a connection was full."),
    "connection_lost": ("connections_lost", "Connections that broke in the middle of a call."),
    "overrun": ("overruns", "Connections closed because PostgreSQL did not answer in time."),
    "slow_call": ("slow_calls", "Calls of PostgreSQL that took more than a second."),
    "outage": ("outages", "Times that the database went away."),
}


def wants_text(accept: str) -> bool:
    """Does this Accept header ask for the Prometheus format? JSON wins when it is named at all."""
    accept = accept.lower()
    if "application/json" in accept:
        return False
    return "application/openmetrics-text" in accept or ("text/plain" in accept and "version=" in accept)


def snapshot(here: Context) -> dict[str, Any]:
    """The JSON form."""
    engine = here.engine
    counters, pool = engine.stats.counters, engine.store.stats()
    message_rate, request_rate = engine.stats.rates()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "messages": {"total": counters.push_messages, "rate": round(message_rate, 1)},
        "database": {
            "poolSize": here.settings.database.pool_size,
            "openConnections": pool["size"],
            "idleConnections": pool["idle"],
            "waitingRequests": pool["waiting"],
        },
        "pool": {"away": pool["away"], **here.pool.totals()},
        "uptime": int(time.time() - here.started_at),
        "requests": {"total": engine.stats.requests, "rate": round(request_rate, 1)},
        "memory": {"rss": _rss_bytes()},
        "cpu": {"user": int(usage.ru_utime * 1_000_000), "system": int(usage.ru_stime * 1_000_000)},
        "durability": engine.store.durability,
        "mode": here.mode,
        "counters": engine.stats.snapshot(),
        "sizes": engine.sizes(),
    }


def exposition(here: Context) -> tuple[bytes, str]:
    """(body, content type) of the Prometheus form."""
    registry = CollectorRegistry()
    registry.register(_Collector(here))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    """Reads the engine's plain integers at the moment of a scrape."""

    def __init__(self, here: Context) -> None:
        self._here = here

    def collect(self) -> Iterator[Metric]:
        engine = self._here.engine
        counters, sizes, pool = engine.stats.snapshot(), engine.sizes(), engine.store.stats()
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"queen_{name}", text, value=counters[name])
        for name, text in _SIZES.items():
            yield GaugeMetricFamily(f"queen_{name}", text, value=sizes[name])
        for name, text in _POOL.items():
            yield GaugeMetricFamily(f"queen_pool_{name}", text, value=pool[name])
        yield from _pool_metrics(self._here.pool)
        yield GaugeMetricFamily("queen_pool_size_max", "Most connections.", self._here.settings.database.pool_size)
        yield GaugeMetricFamily("queen_memory_rss_bytes", "Resident memory.", _rss_bytes())
        yield GaugeMetricFamily("queen_start_time_seconds", "When this process started.", self._here.started_at)
        info = GaugeMetricFamily("queen_build_info", "Version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info


def _pool_metrics(pool: Pool) -> Iterator[Metric]:
    totals = pool.totals()
    for kind, (name, text) in _POOL_TOTALS.items():
        yield CounterMetricFamily(f"queen_pool_{name}", text, value=totals[kind])
    yield _histogram("queen_pool_wait_seconds", "Time that calls waited for a connection.", pool.waits)


def _histogram(name: str, text: str, buckets: Buckets) -> Metric:
    """Prometheus counts upwards: each bucket holds the smaller ones too."""
    sums = list(itertools.accumulate(buckets.counts))
    # The last bucket has no upper end.
    bounds = [(str(upper_bound(place) / 1_000_000), float(count)) for place, count in enumerate(sums[:-1])]
    return HistogramMetricFamily(
        name, text, buckets=[*bounds, ("+Inf", float(sums[-1]))], sum_value=buckets.sum / 1_000_000
    )


def _rss_bytes() -> int:
    """Resident memory now; where /proc is missing, its highest value so far."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
