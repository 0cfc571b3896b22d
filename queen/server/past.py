"""The parts of the status that tell of the past, and of memory: what the instance counted, noted and wrote down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from queen import wire
from queen.engine.board import Numbers
from queen.engine.memory import machine_bytes
from queen.engine.story import Story
from queen.measure.buckets import Buckets
from queen.measure.minutes import ByMinute
from queen.server import numbers, story
from queen.server.context import Context
from queen.server.shapes import history as shapes
from queen.store import history as kinds
from queen.store.past import Baseline, Start

STARTS_MAX: Final = 200
CALLS_MIN: Final = 1_000
"""An hour with fewer calls says little of what one costs."""
_APART_S: Final = 1.0


class Written(NamedTuple):
    """What the database has of the past."""

    starts: list[Start]
    baselines: list[Baseline]


async def read(here: Context) -> Written:
    """Ask the database. Raises what `Pool.connection` raises."""
    within_ms = here.settings.engine.leader_lease_ms
    return Written(await here.admin.past.starts(within_ms, STARTS_MAX), await here.admin.past.baselines(CALLS_MIN))


def history(here: Context, counted: Numbers, written: Written | None) -> shapes.History:
    """The history; without `written` only what is in memory."""
    told = here.story()
    return shapes.History(
        since=_text(here.started_at),
        connections=_connections(here, counted, told),
        pool=shapes.PoolTroubles(
            totals={kind: counted.totals.get(f"pool_{kind}", 0) for kind in kinds.KINDS},
            minutes=_minutes(told.counts.get(story.POOL, {})),
            events=[_pool_event(event) for event in told.events.get(story.POOL, ())],
        ),
        slowFlushes=shapes.FlushTroubles(
            thresholdMs=here.settings.engine.slow_flush_ms,
            totals=_totals(counted, numbers.SLOW),
            minutes=_minutes(told.counts.get(story.FLUSHES, {})),
            events=[_flush(event) for event in told.events.get(story.FLUSHES, ())],
        ),
        refusals=shapes.PastRefusals(
            totals=_totals(counted, numbers.REFUSED),
            minutes=_minutes(told.counts.get(story.REFUSALS, {})),
            events=[_refusal(event) for event in told.events.get(story.REFUSALS, ())],
        ),
        outages=outages(told, bool(counted.gauges["pool_away"])),
        starts=[_start(one) for one in written.starts] if written is not None else None,
        statements=[_baseline(one) for one in written.baselines] if written is not None else None,
    )


def memory(here: Context, counted: Numbers) -> shapes.Memory:
    """What the instance uses and may use."""
    gauges = counted.gauges
    return shapes.Memory(
        budget=int(gauges["memory_max"]),
        budgetSet=here.engine.memory.watched,
        used=int(gauges["memory_used"]),
        usedPeak=int(gauges["memory_peak"]),
        rss=int(gauges["rss_bytes"]),
        rssPeak=int(gauges["rss_peak_bytes"]),
        machine=machine_bytes(),
        refused=counted.totals["memory_refused"],
        closed=int(gauges["memory_closed"]),
        closings=counted.totals["memory_closings"],
    )


def outages(told: Story, away: bool) -> list[shapes.PastOutage]:
    """One for each time that the database was away, however many processes noticed; `away`: it is now."""
    events = told.events.get(story.POOL, ())
    spans = [(event["at"] - event["duration_ms"] / 1000, event["at"], event) for event in _of(events, kinds.BACK)]
    begun = _of(events, kinds.OUTAGE)
    found: list[_Outage] = []
    for since, until, event in sorted(spans, key=lambda span: span[0]):
        reason = next((one["text"] for one in reversed(begun) if one["at"] <= since + _APART_S), "")
        last = found[-1] if found else None
        if last is not None and since <= last.until + _APART_S:
            last.until = max(last.until, until)
            last.workers.add(event["worker"])
        else:
            found.append(_Outage(since, until, reason, {event["worker"]}))
    shown = [_shown(one.since, int((one.until - one.since) * 1000), one.reason, len(one.workers)) for one in found]
    if away and begun:
        # It began once in each process that has not seen its end.
        last_end = max((until for _, until, _ in spans), default=0.0)
        open_ones = [event for event in begun if event["at"] > last_end] or begun[-1:]
        workers = {event["worker"] for event in open_ones}
        shown.append(_shown(open_ones[0]["at"], None, open_ones[0]["text"], len(workers)))
    return shown


@dataclass(slots=True)
class _Outage:
    """A time between two moments, and the processes that noticed."""

    since: float
    until: float
    reason: str
    workers: set[int]


def _shown(since: float, ms: int | None, reason: str, processes: int) -> shapes.PastOutage:
    return shapes.PastOutage(**{"from": _text(since)}, ms=ms, reason=reason, processes=processes)


def _of(events: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


def _connections(here: Context, counted: Numbers, told: Story) -> shapes.Connections:
    gauges, peaks = counted.gauges, told.counts.get(story.PEAKS, {})
    return shapes.Connections(
        sizeMax=int(gauges["pool_size_max"]),
        size=int(gauges["pool_size"]),
        idle=int(gauges["pool_idle"]),
        waiting=int(gauges["pool_waiting"]),
        timeoutMs=here.settings.database.connection_timeout_ms,
        peak=int(gauges["pool_peak"]),
        peakLastHour=max((words.get("in_use", 0) for words in peaks.values()), default=0),
        waits=_times(counted.buckets["pool_wait_us"]),
        holds=_times(counted.buckets["pool_held_us"]),
    )


def _times(times: Buckets) -> shapes.CallTimes:
    shown = max((place for place, held in enumerate(times.counts, 1) if held), default=0)
    return shapes.CallTimes(
        count=times.count,
        sumUs=times.sum,
        p50Us=times.percentile(50),
        p99Us=times.percentile(99),
        boundsUs=[times.upper_bound(place) for place in range(shown)],
        counts=times.counts[:shown],
    )


def _totals(counted: Numbers, prefix: str) -> dict[str, int]:
    return {name[len(prefix) :]: total for name, total in counted.totals.items() if name.startswith(prefix)}


def _minutes(by_minute: ByMinute) -> list[shapes.MinuteCounts]:
    return [shapes.MinuteCounts(minute=_text(at), counts=words) for at, words in by_minute.items()]


def _pool_event(event: dict[str, Any]) -> shapes.PastPoolEvent:
    same = {name: event[name] for name in ("kind", "worker", "size", "idle", "waiting", "work", "text", "count")}
    return shapes.PastPoolEvent(at=_text(event["at"]), ms=event["duration_ms"], **same)


def _flush(event: dict[str, Any]) -> shapes.PastFlush:
    same = {name: event[name] for name in ("worker", "verb", "ms", "count")}
    return shapes.PastFlush(at=_text(event["at"]), messages=event["entries"], outcome=event["kind"], **same)


def _refusal(event: dict[str, Any]) -> shapes.PastRefusal:
    same = {name: event[name] for name in ("worker", "verb", "count")}
    return shapes.PastRefusal(at=_text(event["at"]), code=event["kind"], error=event["text"], **same)


def _start(start: Start) -> shapes.ServerStart:
    return shapes.ServerStart(
        instanceId=str(start.instance_id),
        at=wire.datetime_text(start.started_at),
        endedAt=wire.datetime_text(start.ended_at) if start.ended_at is not None else None,
        running=start.runs and start.ended_at is None,
        hostname=start.hostname,
        port=start.port,
        worker=start.worker,
        version=start.version,
    )


def _baseline(one: Baseline) -> shapes.StatementBaseline:
    return shapes.StatementBaseline(
        name=one.name,
        hours=one.hours,
        calls=one.calls,
        meanMs=round(one.mean_ms, 4),
        bestMs=round(one.best_ms, 4),
        blocks=round(one.blocks, 1),
        since=wire.datetime_text(one.since),
    )


def _text(at: float) -> str:
    return wire.datetime_text(datetime.fromtimestamp(at, UTC))
