"""The numbers of an instance as JSON (http-api.md §8.2) and in the Prometheus text format."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from queen import __version__

if TYPE_CHECKING:
    from queen.server.context import Context

_COUNTERS = {
    "push_requests": "Push requests answered.",
    "push_messages": "Messages stored by push.",
    "push_duplicates": "Pushed messages that were stored before.",
    "push_failed": "Pushed messages that were not stored.",
    "pop_requests": "Pop requests answered.",
    "pop_messages": "Messages delivered by pop.",
    "pop_empty": "Pop requests that found nothing.",
    "ack_requests": "Ack requests answered.",
    "ack_messages": "Messages acknowledged, with whatever status.",
    "ack_rejected": "Acknowledgements that changed nothing: stale lease, unknown transaction id.",
    "dead_letters": "Messages moved to the dead letters.",
    "leases_extended": "Leases extended.",
    "leases_expired": "Leases of this instance that ran out before they were settled.",
    "announcements_sent": "Announcements sent to other instances.",
    "announcements_failed": "Announcements that could not be sent and were tried again.",
    "announcements_received": "Announcements received from other instances.",
}
_SIZES = {
    "pending_push_bytes": "Bytes of pushes that wait for the database.",
    "parked_polls": "Polls that wait for messages.",
    "leases": "Leases handed out by this instance and not settled.",
    "peers": "Other instances that run on the same database.",
    "leading": "1 on the instance that does the work of one for all.",
    "listening": "1 while notifications of other instances can be received; else announcements are read.",
    "pending_announcements": "Partitions and leases that other instances have not been told of.",
}
_POOL = {
    "size": "Open connections.",
    "idle": "Connections that nobody uses just now.",
    "waiting": "Requests that wait for a connection.",
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
        yield GaugeMetricFamily("queen_pool_size_max", "Most connections.", self._here.settings.database.pool_size)
        yield GaugeMetricFamily("queen_memory_rss_bytes", "Resident memory.", _rss_bytes())
        yield GaugeMetricFamily("queen_start_time_seconds", "When this process started.", self._here.started_at)
        info = GaugeMetricFamily("queen_build_info", "Version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info


def _rss_bytes() -> int:
    """Resident memory now; where /proc is missing, its highest value so far."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
