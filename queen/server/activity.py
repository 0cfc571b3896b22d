"""Activity over time as the routes of status and analytics show it: ranges and buckets, and what is in the table
together with what this process has not written yet.

Buckets begin at whole multiples of their width. A bucket in which nothing happened, or of which nothing is kept, is
left out. Of the other processes the minute that runs is not known before it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, NamedTuple

from fastapi import Query

from queen import errors
from queen.engine.activity import MINUTE_S, Running
from queen.server.context import Context, read_time
from queen.store.activity import ALL_QUEUES, Counts, SeriesRow

From = Annotated[str | None, Query(alias="from", description="Beginning of the time that is looked at, ISO 8601.")]
To = Annotated[str | None, Query(description="Its end; now if absent.")]

QUEUES_MAX: Final = 100
ROWS_MAX: Final = 30_000
"""Rows of one process that a look at several queues may read: fewer queues for longer times."""
_WIDTHS: Final = ((1, 1), (6, 5), (24, 15), (7 * 24, 60))
_WIDTH_MAX: Final = 360
_HOUR_MINUTES: Final = 60
_DAYS_MAX: Final = 3_660
_SECONDS_MIN: Final = 31_536_000
_SECONDS_MAX: Final = 32_472_144_000


class Range(NamedTuple):
    """What is asked for: from the first whole bucket on, up to before `until`. `now` is the database's."""

    since: datetime
    until: datetime
    minutes: int
    now: datetime

    def seconds(self, bucket: datetime) -> float:
        """How much of a bucket has passed."""
        passed = (self.now - bucket).total_seconds()
        return min(self.minutes * 60.0, max(passed, 1.0))

    @property
    def length(self) -> int:
        """In minutes; what is not there yet does not count."""
        return max(1, int((min(self.until, self.now) - self.since).total_seconds() // 60))


class Matched(NamedTuple):
    """The queues that are asked for, by id; `everything` when no filter names any. `more`: there are others."""

    names: dict[int, str | None]
    more: bool

    @property
    def everything(self) -> bool:
        return ALL_QUEUES in self.names


class Rates(NamedTuple):
    """Messages a second."""

    ingested: float
    processed: float


def read_range(here: Context, since: str | None, until: str | None, *, hours: int = 1, minutes: int = 0) -> Range:
    """The range of a request; `hours` long if it names no beginning. `minutes`: the width of a bucket, 0 by the length.

    Raises InvalidRequest for times that cannot be read, the wrong way round, or ten years apart.
    """
    now = datetime.fromtimestamp(here.engine.activity.now(), UTC)
    end = _time(until, "to") or now
    begin = _time(since, "from") or end - timedelta(hours=hours)
    if begin > end:
        raise errors.InvalidRequest("bad query: from is after to", hint="leave both out for the latest hour")
    if end - begin > timedelta(days=_DAYS_MAX):
        raise errors.InvalidRequest("bad query: from and to are too far apart", hint=f"at most {_DAYS_MAX} days")
    width = minutes or _width(end - begin)
    kept = timedelta(milliseconds=here.settings.engine.activity_minutes_kept_ms)
    if begin < bucket_of(now - kept, _HOUR_MINUTES):
        width = max(width, _HOUR_MINUTES)  # Of that time only hours are known.
    return Range(bucket_of(begin, width), end, width, now)


def _time(text: str | None, name: str) -> datetime | None:
    at = read_time(text, name)
    if at is not None and not _SECONDS_MIN <= at.timestamp() < _SECONDS_MAX:
        raise errors.InvalidRequest(f"bad query: {name} is out of range", hint="a time from 1971 up to 2999")
    return at


def _width(length: timedelta) -> int:
    hours = length / timedelta(hours=1)
    return next((width for most, width in _WIDTHS if hours <= most), _WIDTH_MAX)


def bucket_of(at: datetime, minutes: int) -> datetime:
    """The beginning of the bucket that a time is in."""
    width_s = minutes * MINUTE_S
    return datetime.fromtimestamp(int(at.timestamp() // width_s) * width_s, UTC)


async def match(
    here: Context, asked: Range, queue: str | None, namespace: str | None = None, task: str | None = None
) -> Matched:
    """The queues that filters name: none of them, everything; one that is not there, nothing."""
    if not queue and not namespace and not task:
        return Matched({ALL_QUEUES: None}, more=False)
    most = max(1, min(QUEUES_MAX, ROWS_MAX // asked.length))
    rows = await here.engine.store.find_queues(name=queue, namespace=namespace, task=task, limit=most + 1)
    return Matched({row.queue_id: row.name for row in rows[:most]}, more=len(rows) > most)


async def series(here: Context, queue_ids: Iterable[int], asked: Range) -> list[SeriesRow]:
    """One row per queue and bucket, by bucket. ALL_QUEUES among the ids has the sums over all queues."""
    ids = list(queue_ids)
    activity = here.engine.activity
    running = activity.running()
    own_since = datetime.fromtimestamp(running.since, UTC)
    written: Sequence[SeriesRow] = ()
    if ids:
        written = await here.admin.activity.series(
            ids, asked.since, asked.until, asked.minutes, activity.instance_id, own_since
        )
    return merge(written, running, ids, asked)


def remembered(here: Context, queue_ids: Iterable[int], asked: Range) -> list[SeriesRow]:
    """The same of what this process has not written, for when the database is away."""
    return merge((), here.engine.activity.running(), list(queue_ids), asked)


def merge(written: Sequence[SeriesRow], running: Running, queue_ids: list[int], asked: Range) -> list[SeriesRow]:
    """Rows of the table and of the running minute, in one series."""
    found = {(row.bucket, row.queue_id): row.counts for row in written}
    for (queue_id, at), counts in running.rows.items():
        minute = datetime.fromtimestamp(at, UTC)
        if queue_id in queue_ids and asked.since <= minute < asked.until and counts != Counts():
            key = bucket_of(minute, asked.minutes), queue_id
            found[key] = found[key].plus(counts) if key in found else counts
    return [SeriesRow(queue_id, bucket, counts) for (bucket, queue_id), counts in sorted(found.items())]


def by_bucket(rows: Iterable[SeriesRow]) -> list[tuple[datetime, Counts]]:
    """The sums over the queues of a series."""
    found: dict[datetime, Counts] = {}
    for row in rows:
        known = found.get(row.bucket)
        found[row.bucket] = row.counts if known is None else known.plus(row.counts)
    return sorted(found.items())


async def rates(here: Context, window_s: int = 300) -> Rates:
    """Messages a second that came in, and that were completed, over all servers in about the last `window_s`.

    Whole minutes, and as much of the running one as has passed. Of other processes the running minute is not known, so
    with them the rates are a little too small.
    """
    now = datetime.fromtimestamp(here.engine.activity.now(), UTC)
    asked = Range(bucket_of(now - timedelta(seconds=window_s), 1), now + timedelta(minutes=1), 1, now)
    rows = await series(here, [ALL_QUEUES], asked)
    elapsed_s = (now - asked.since).total_seconds()
    return Rates(
        round(sum(row.counts.push_messages for row in rows) / elapsed_s, 3),
        round(sum(row.counts.ack_success for row in rows) / elapsed_s, 3),
    )
