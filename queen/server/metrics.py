"""The numbers of an instance as JSON (http-api.md §8.2) and in the Prometheus text format."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from queen import __version__
from queen.engine.board import Numbers
from queen.engine.stats import Counters
from queen.measure.buckets import BUCKETS, Buckets, FineBuckets
from queen.server.numbers import VERBS, milliseconds

if TYPE_CHECKING:
    from queen.server.context import Context

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The form that every scraper reads; none of our names needs a later one."""

_COUNTERS = {
    "push_requests": "Push requests answered.",
    "push_messages": "Messages stored by push.",
    "push_duplicates": "Pushed messages that were stored before.",
    "push_failed": "Pushed messages that were not stored.",
    "push_repeats": "Database operations of pushes that were repeated, because their connection broke.",
    "push_scheduled": "Messages stored by push for later.",
    "scheduled_placed": "Scheduled messages that took their place in the order.",
    "enqueued_placed": "Messages of callers' own transactions that this instance placed.",
    "enqueued_duplicates": "Messages of callers' own transactions that were stored before.",
    "pop_requests": "Pop requests answered.",
    "pop_messages": "Messages delivered by pop.",
    "pop_empty": "Pop requests that found nothing.",
    "ack_requests": "Ack requests answered.",
    "ack_messages": "Messages acknowledged, with whatever status.",
    "ack_rejected": "Acknowledgements that changed nothing: stale lease, unknown transaction id.",
    "dead_letters": "Messages moved to the dead letters.",
    "leases_extended": "Leases extended.",
    "leases_expired": "Leases of this instance that ran out before they were settled.",
    "epochs_opened": "Epochs opened by this instance.",
    "epochs_dropped": "Epochs dropped by this instance.",
    "epochs_rewritten": "Mostly dead epochs that this instance wrote anew.",
    "messages_hidden": "Messages that retention put out of reach.",
    "upkeep_lock_timeouts": "Times that the upkeep of epochs gave up waiting for a lock.",
    "announcements_sent": "Announcements sent to other instances.",
    "announcements_failed": "Announcements that could not be sent and were tried again.",
    "announcements_received": "Announcements received from other instances.",
    "requests_refused": "Pushes, pops and acks answered with an error: wrong, too large, or for a moment too much.",
    "clients_stalled": "Connections closed because the client did not go on.",
    "memory_refused": "Requests refused by the memory budget.",
    "requests_failed": "Pushes, pops and acks answered with 500: a bug.",
    "worker_restarts": "Worker processes that ended and were replaced.",
}
_GAUGES = {
    "pending_push_bytes": "Bytes of pushes that wait for the database.",
    "parked_polls": "Polls that wait for messages.",
    "memory_max": "The memory budget, in bytes.",
    "memory_used": "Bytes counted against the budget: requests until they are answered, large answers until written.",
    "leases": "Leases handed out by this instance and not settled.",
    "epochs": "Epochs that exist, as this instance saw them last; 0 where another instance leads.",
    "last_rotation_timestamp_seconds": "When this instance opened an epoch last; 0 when it did not.",
    "peers": "Other processes that serve the same database, once for each worker.",
    "leading": "1 on the instance that does the work of one for all.",
    "listening": "Workers that receive notifications; the others read announcements.",
    "pops_paused": "Workers whose pops pause, because maintenance of pops is on.",
    "pending_announcements": "Partitions and leases that other instances have not been told of.",
    "ready_partitions": "Partitions with messages that nobody has taken, once for each group, as far as is known here.",
    "pool_size": "Open connections.",
    "pool_idle": "Connections that nobody uses just now.",
    "pool_waiting": "Requests that wait for a connection.",
    "pool_away": "Processes for which the database is away; they refuse requests at once.",
    "pool_size_max": "Most connections.",
    "workers": "Processes that serve.",
}
_POOL_TOTALS = {
    "timeout": ("timeouts", "Requests that got no connection in time."),
    "refused": ("refused", "Requests that were refused because the line for a connection was full."),
    "connection_lost": ("connections_lost", "Connections that broke."),
    "overrun": ("overruns", "Connections closed because PostgreSQL did not answer in time."),
    "slow_call": ("slow_calls", "Calls of PostgreSQL that took more than a second."),
    "outage": ("outages", "Times that the database went away."),
}
_HISTOGRAMS = (
    (
        "request_seconds",
        "Time from the whole request to its answer; of pops only those that did not wait.",
        "{}_us",
        1e-6,
    ),
    ("flush_seconds", "Time of one flush to the database.", "{}_flush_us", 1e-6),
    ("flush_entries", "Messages of a push flush, requests of a pop flush, partitions of an ack flush.",
     "{}_flush_entries", 1),
)  # fmt: skip
_TOTAL_SIZES = ("refused", "memory_refused", "push_flushes", "pop_flushes", "ack_flushes")
_HIDDEN_GAUGES = ("message_rate", "request_rate", "rss_bytes", "rss_peak_bytes", "workers", "loop_lag_ms")


def wants_text(accept: str) -> bool:
    """Does this Accept header ask for the Prometheus format? JSON wins when it is named at all."""
    accept = accept.lower()
    if "application/json" in accept:
        return False
    return "application/openmetrics-text" in accept or ("text/plain" in accept and "version=" in accept)


def snapshot(here: Context) -> dict[str, Any]:
    """The JSON form."""
    numbers = here.numbers()
    totals, gauges = numbers.totals, numbers.gauges
    return {
        "messages": {"total": totals["push_messages"], "rate": round(gauges["message_rate"], 1)},
        "database": {
            "poolSize": here.pool_size,
            "openConnections": int(gauges["pool_size"]),
            "idleConnections": int(gauges["pool_idle"]),
            "waitingRequests": int(gauges["pool_waiting"]),
        },
        "pool": {"away": int(gauges["pool_away"])} | {kind: totals[f"pool_{kind}"] for kind in _POOL_TOTALS},
        "uptime": int(time.time() - here.started_at),
        "requests": {
            "total": sum(totals[f"{verb}_requests"] for verb in VERBS),
            "rate": round(gauges["request_rate"], 1),
        },
        "memory": {"rss": int(gauges["rss_bytes"])},
        "cpu": {"user": totals["cpu_user_us"], "system": totals["cpu_system_us"]},
        "eventLoop": {"lagMs": round(gauges["loop_lag_ms"], 3)},
        "durability": here.engine.store.durability,
        "mode": here.mode,
        "workers": workers(numbers),
        "latency": {verb: _latency(numbers.buckets[f"{verb}_us"]) for verb in VERBS},
        "insert": _insert(numbers.buckets["insert_us"]),
        "flushes": {verb: _flushes(numbers, verb) for verb in VERBS},
        "counters": {name: totals[name] for name in Counters.__dataclass_fields__},
        "sizes": _sizes(numbers),
    }


def workers(numbers: Numbers) -> dict[str, int]:
    """How many processes serve, and how many were replaced."""
    return {"count": int(numbers.gauges["workers"]), "restarts": numbers.totals["worker_restarts"]}


def _sizes(numbers: Numbers) -> dict[str, int]:
    gauges = {
        name: int(value)
        for name, value in numbers.gauges.items()
        if name not in _HIDDEN_GAUGES and not name.startswith("pool_")
    }
    return gauges | {name: numbers.totals[name] for name in _TOTAL_SIZES}


def _latency(times: Buckets) -> dict[str, float | None]:
    return {
        "count": times.count,
        "p50Ms": milliseconds(times.percentile(50)),
        "p99Ms": milliseconds(times.percentile(99)),
        "meanMs": milliseconds(times.mean()),
    }


def _insert(times: Buckets) -> dict[str, Any]:
    """With all buckets, so that whoever reads twice can tell the percentiles of the time between."""
    shown = max((place for place, held in enumerate(times.counts, 1) if held), default=0)
    bounds = [times.upper_bound(place) for place in range(shown)]
    return _latency(times) | {"buckets": {"boundsUs": bounds, "counts": times.counts[:shown]}}


def _flushes(numbers: Numbers, verb: str) -> dict[str, float | None]:
    entries = numbers.buckets[f"{verb}_flush_entries"]
    mean = entries.mean()
    return _latency(numbers.buckets[f"{verb}_flush_us"]) | {
        "count": entries.count,
        "meanEntries": None if mean is None else round(mean, 1),
    }


def exposition(here: Context) -> tuple[bytes, str]:
    """(body, content type) of the Prometheus form."""
    registry = CollectorRegistry()
    registry.register(_Collector(here))
    return generate_latest(registry), CONTENT_TYPE


class _Collector:
    """Reads the instance's numbers at the moment of a scrape."""

    def __init__(self, here: Context) -> None:
        self._here = here

    def collect(self) -> Iterator[Metric]:
        numbers = self._here.numbers()
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"queen_{name}", text, value=numbers.totals[name])
        for name, text in _GAUGES.items():
            value = self._here.pool_size if name == "pool_size_max" else numbers.gauges[name]
            yield GaugeMetricFamily(f"queen_{name}", text, value=value)
        for name, text, key, unit in _HISTOGRAMS:
            yield _histogram(f"queen_{name}", text, {verb: numbers.buckets[key.format(verb)] for verb in VERBS}, unit)
        for kind, (name, text) in _POOL_TOTALS.items():
            yield CounterMetricFamily(f"queen_pool_{name}", text, value=numbers.totals[f"pool_{kind}"])
        text = "Time from a push that was let in to its commit."
        yield _plain_histogram("queen_insert_seconds", text, _coarse(numbers.buckets["insert_us"]))
        text = "Time that calls waited for a connection."
        yield _plain_histogram("queen_pool_wait_seconds", text, numbers.buckets["pool_wait_us"])
        text = "Time that calls held a connection."
        yield _plain_histogram("queen_pool_held_seconds", text, numbers.buckets["pool_held_us"])
        yield GaugeMetricFamily("queen_memory_rss_bytes", "Resident memory.", numbers.gauges["rss_bytes"])
        yield GaugeMetricFamily("queen_start_time_seconds", "When the instance started.", self._here.started_at)
        text = "How late the event loop was at most within a second; of several workers the latest."
        yield GaugeMetricFamily("queen_event_loop_lag_seconds", text, numbers.gauges["loop_lag_ms"] / 1000)
        info = GaugeMetricFamily("queen_build_info", "Version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info


def _coarse(times: Buckets) -> Buckets:
    return times.coarse() if isinstance(times, FineBuckets) else times


def _plain_histogram(name: str, text: str, times_us: Buckets) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[])
    family.add_metric([], _steps(times_us, 1e-6), times_us.sum * 1e-6)
    return family


def _histogram(name: str, text: str, by_verb: dict[str, Buckets], unit: float) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["verb"])
    for verb, buckets in by_verb.items():
        family.add_metric([verb], _steps(buckets, unit), buckets.sum * unit)
    return family


def _steps(buckets: Buckets, unit: float) -> list[tuple[str, float]]:
    """(bound, how many up to it) of each bucket, as Prometheus counts."""
    bounds = [f"{buckets.upper_bound(place) * unit:.9g}" for place in range(BUCKETS - 1)] + ["+Inf"]
    return list(zip(bounds, itertools.accumulate(buckets.counts), strict=True))
