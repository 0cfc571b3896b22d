"""From samples to the parts of a result: series by second, and both sides over a span of time.

Shares are of one core. What is not known is None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from queen.bench import percentiles
from queen.bench.observe import metrics
from queen.bench.observe.columns import second_of
from queen.bench.result import PostgresSide, ServerSide
from queen.measure.histogram import LatencyHistogram

if TYPE_CHECKING:
    from queen.bench.observe.observer import Observer, ServerTrack

_LOCAL_RATES: Final = {
    "server_cpu": "server_cpu_s",
    "postgres_cpu": "postgres_cpu_s",
    "machine_cpu": "machine_cpu_s",
    "steal": "steal_s",
}
_POSTGRES_RATES: Final = {
    "commits_per_s": "commits",
    "wal_bytes_per_s": "wal_bytes",
    "full_page_images_per_s": "full_page_images",
    "fsyncs_per_s": "fsyncs",
}
_STATES: Final = ("pool_in_use", "pool_waiting", "event_loop_lag_ms")
_NOT_TOTALS: Final = ("oldest_xmin_age", "observer_statements")
_HALF_NS: Final = 500_000_000
_SIZES: Final = ("dead_tuples", "live_tuples", "table_bytes", "index_bytes")


def series(
    seen: Observer, clock_zero_ns: int, seconds: int | None
) -> tuple[dict[str, list[float | None]], dict[str, list[int]]]:
    """See `Observer.series`."""
    found: dict[str, Mapping[int, float]] = {name: seen.local.rate_by_second(key) for name, key in _LOCAL_RATES.items()}
    found["server_rss_bytes"] = seen.local.state_by_second("server_rss_bytes")
    found |= _of_servers(seen)
    found |= {name: seen.postgres.rate_by_second(key) for name, key in _POSTGRES_RATES.items()}
    found["oldest_xmin_age"] = seen.postgres.state_by_second("oldest_xmin_age")
    found["checkpoints"] = seen.postgres.rate_by_second("checkpoints")
    for name in ("dead_tuples", "table_bytes", "index_bytes"):
        found[name] = _sum(seen.tables.state_by_second(f"{table}.{name}") for table in seen.table_names)
    zero = clock_zero_ns // 1_000_000_000
    last = max((second for values in [*found.values(), seen.samplings] for second in values), default=zero - 1)
    span = range(zero, zero + (seconds if seconds is not None else max(0, last - zero + 1)))
    events = sorted({event for waits in seen.waits.values() for event in waits})
    none: Counter[str] = Counter()
    return (
        {name: [values.get(second) for second in span] for name, values in found.items()},
        {event: [seen.waits.get(second, none)[event] for second in span] for event in events},
    )


def server_side(seen: Observer, from_ns: int, to_ns: int) -> ServerSide:
    """The servers together, between two moments."""
    names = {name for track in seen.servers for name in track.columns.names()}
    totals = {
        name: metrics.together([track.columns.increase(name, from_ns, to_ns) for track in seen.servers])
        for name in names
        if name.startswith(("counter.", "flushes.", "cpu_us"))
    }
    counters = {name.removeprefix("counter."): value for name, value in totals.items() if value is not None}
    told = counters.pop("cpu_us", None)
    cpu_s = seen.local.increase("server_cpu_s", from_ns, to_ns)
    rss = seen.local.largest("server_rss_bytes", from_ns, to_ns)
    if rss is None:
        rss = metrics.together([track.columns.largest("rss_bytes", from_ns, to_ns) for track in seen.servers])
    insert = insert_between(seen.servers, from_ns, to_ns)
    return ServerSide(
        insert=None if insert is None else percentiles.of(insert),
        cpu_s=cpu_s if cpu_s is not None or told is None else told / 1e6,
        rss_bytes_max=None if rss is None else int(rss),
        counters={name.replace("flushes.", "flushes_"): value for name, value in sorted(counters.items())},
        rows_per_flush={
            verb: _ratio(totals.get(f"counter.{verb}_messages"), totals.get(f"flushes.{verb}"))
            for verb in metrics.VERBS
        },
        durability=next((track.durability for track in seen.servers if track.durability), None),
        mode=next((track.mode for track in seen.servers if track.mode), None),
        insert_histogram=None if insert is None else insert.encode(),
    )


def postgres_side(seen: Observer, from_ns: int, to_ns: int) -> PostgresSide:
    """PostgreSQL between two moments. `samples`: how often waits were looked at; `waits` counts sessions at work."""
    counters = {
        name: value
        for name in seen.postgres.names()
        if name not in _NOT_TOTALS and (value := seen.postgres.increase(name, from_ns, to_ns)) is not None
    }
    own = seen.postgres.increase("observer_statements", from_ns, to_ns) or 0.0
    for name in ("commits", "statements"):
        if name in counters:
            counters[name] = max(0.0, counters[name] - own)
    counters["observer_statements"] = own
    oldest = seen.postgres.largest("oldest_xmin_age", from_ns, to_ns)
    counters |= {} if oldest is None else {"oldest_xmin_age_max": oldest}
    span = range(from_ns // 1_000_000_000, -(-to_ns // 1_000_000_000))
    waits = sum((seen.waits[second] for second in span if second in seen.waits), Counter[str]())
    return PostgresSide(
        counters=counters,
        tables={table: row for table in sorted(seen.table_names) if (row := _table(seen, table, from_ns, to_ns))},
        waits=dict(waits.most_common()),
        samples=sum(seen.samplings[second] for second in span),
        cpu_s=seen.local.increase("postgres_cpu_s", from_ns, to_ns),
    )


def _table(seen: Observer, table: str, from_ns: int, to_ns: int) -> dict[str, float]:
    """Sizes are the largest seen; the rest, and what the sizes grew by, is what came in between."""
    found: dict[str, float | None] = {}
    for name in ("inserts", "updates", "hot_updates", "deletes", "autovacuums"):
        found[name] = seen.tables.increase(f"{table}.{name}", from_ns, to_ns, restarts=False)
    for name in _SIZES:
        found[name] = seen.tables.largest(f"{table}.{name}", from_ns - 5 * 10**9, to_ns + 5 * 10**9)
    for name in ("table_bytes", "index_bytes"):
        found[f"{name}_grown"] = seen.tables.increase(f"{table}.{name}", from_ns, to_ns, restarts=False)
    return {name: value for name, value in found.items() if value is not None}


def _of_servers(seen: Observer) -> dict[str, Mapping[int, float]]:
    tracks = [track.columns for track in seen.servers]
    found: dict[str, Mapping[int, float]] = {
        name: _sum(columns.state_by_second(name) for columns in tracks) for name in _STATES
    }
    flushes = _sum(columns.rate_by_second(f"flushes.{verb}") for columns in tracks for verb in metrics.VERBS)
    rows = _sum(columns.rate_by_second(f"counter.{verb}_messages") for columns in tracks for verb in metrics.VERBS)
    found["statements_per_s"] = flushes
    found["rows_per_statement"] = {
        second: rows[second] / count for second, count in flushes.items() if count > 0 and second in rows
    }
    return found | _insert_series(seen.servers)


def insert_between(tracks: Iterable[ServerTrack], from_ns: int, to_ns: int) -> LatencyHistogram | None:
    """What all servers inserted between two moments, to the nearest read; None when it is not known."""
    whole: metrics.Insert | None = None
    for track in tracks:
        before: metrics.Insert | None = None
        for at, insert in track.inserts:
            if at > to_ns + _HALF_NS:
                break
            if at > from_ns + _HALF_NS:
                part = metrics.since(insert, before)
                whole = part if whole is None else metrics.plus(whole, part)
            before = insert
    if whole is None:
        return None
    histogram = LatencyHistogram()
    metrics.add_to(histogram, whole)
    return histogram


def _insert_series(tracks: Iterable[ServerTrack]) -> dict[str, Mapping[int, float]]:
    by_second: dict[int, metrics.Insert] = {}
    for track in tracks:
        for (_, earlier), (at, later) in zip(track.inserts, track.inserts[1:], strict=False):
            second, part = second_of(at), metrics.since(later, earlier)
            by_second[second] = metrics.plus(by_second[second], part) if second in by_second else part
    return {
        f"insert_p{percent}_ms": {
            second: value
            for second, insert in by_second.items()
            if (value := metrics.percentile_ms(insert, percent)) is not None
        }
        for percent in (50, 99)
    }


def _sum(parts: Iterable[Mapping[int, float]]) -> dict[int, float]:
    """By second, over those that know it."""
    found: dict[int, float] = {}
    for part in parts:
        for second, value in part.items():
            found[second] = found.get(second, 0.0) + value
    return found


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
