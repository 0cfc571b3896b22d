"""W5: how long the disk takes to make the log durable."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, NotSeen, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.store.inspect import Row

_COUNT_MIN: Final = 20
_WAITS: Final = ("IO:WALSync", "IO:WalSync")  # before 17, and from 17 on
_ENABLE: Final = "ALTER SYSTEM SET track_wal_io_timing = on; SELECT pg_reload_conf();"

_UP_TO_17 = "SELECT 'wal' AS what, wal_sync AS syncs, wal_sync_time::float8 AS sync_ms FROM pg_stat_wal"
# `init` is the making of new files, which no commit waits for.
_FROM_18 = """
SELECT 'wal' AS what, coalesce(sum(fsyncs), 0)::bigint AS syncs, coalesce(sum(fsync_time), 0)::float8 AS sync_ms
  FROM pg_stat_io WHERE object = 'wal' AND context = 'normal'
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """Timed where PostgreSQL times it; else by Little's law from the sessions that were seen waiting for it."""
    rows = seen.changes("syncs", "what", "syncs", "sync_ms")
    if not rows or rows[0]["syncs"] < _COUNT_MIN:
        raise NotSeen(f"fewer than {_COUNT_MIN} fsyncs of the log inside the window", "run it under load")
    timed = seen.facts.settings.on("track_wal_io_timing")
    mean = rows[0]["sync_ms"] / rows[0]["syncs"] if timed else _by_waits(seen, rows[0])
    severity = seen.limits["limit"].judge(mean)
    if severity is None:
        return
    # One session at a time syncs the log: this is the share of the window in which one did.
    busy = min(1.0, mean * rows[0]["syncs"] / (seen.window_s * 1000))
    if seen.limits["busy"].judge(busy) is None:
        severity = "info"
    yield Finding(
        severity,
        f"an fsync of the log takes {mean:.1f} ms",
        {
            "mean_ms": round(mean, 3),
            "fsyncs": rows[0]["syncs"],
            "fsyncs_per_s": round(rows[0]["syncs"] / seen.window_s, 1),
            "how": "timed" if timed else "sessions waiting ÷ fsyncs a second",
            "busy_share": round(busy, 3),
            "wait_share": round(seen.waits.share(*_WAITS), 3),
            "wal_sync_method": seen.facts.settings.text("wal_sync_method"),
        },
        "Put the log on a faster disk, and push and ack in larger batches: a commit waits for one fsync, whatever it "
        "holds. Never turn fsync off.",
        threshold=seen.limits["limit"],
        at_stake=stake.wait_share(seen.waits.share(*_WAITS)),
    )


def _by_waits(seen: Seen, row: Row) -> float:
    """Milliseconds an fsync. On average so many sessions were in it as its rate times its length (Little's law), so
    the length is the one divided by the other. Raises NotSeen where the limit lies within the error of sampling."""
    if not seen.waits.samples:
        raise NotSeen("track_wal_io_timing is off, and no waits were sampled", _ENABLE)
    seen_waiting = sum(seen.waits.by_wait.get(name, 0) for name in _WAITS)
    each = seen.window_s * 1000 / seen.waits.samples / row["syncs"]
    limit, error = seen.limits["limit"].warn, 2 * math.sqrt(seen_waiting)
    if limit is not None and (seen_waiting - error) * each < limit <= (seen_waiting + error + 3) * each:
        raise NotSeen(f"track_wal_io_timing is off, and {seen_waiting} waits seen are too few to tell", _ENABLE)
    return float(seen_waiting * each)


CHECK = Check(
    id="W5",
    group="wal",
    title="Time of an fsync of the log",
    why="A commit waits for the disk; commits a second are at most the sessions that share one fsync over its length.",
    false_positive="A noisy neighbour on a shared disk, for a moment.",
    explain="""\
With track_wal_io_timing PostgreSQL times every fsync of its log: the mean over the window is looked at. Up to 17 it is
in pg_stat_wal, from 18 on in pg_stat_io.

Without it the waits of sessions tell, which are sampled ten times a second: the mean number of sessions in an fsync,
divided by fsyncs a second, is how long one takes. Nothing is written for this. Near the limit, and with few
samples, that is not certain enough: then the check is skipped and names the setting.

2 ms is what a disk without a battery or capacitor behind its cache takes at best; a solid-state disk with one takes
0.1 ms. As long as the log is in an fsync for less than 70 % of the time, its disk is not what limits the rate: then a
slow one is mentioned for information, for it is still in the latency of every push.

Remedies: a better disk for pg_wal, larger batches. fsync = off is none: a crash would then lose the data.""",
    evaluate=evaluate,
    queries={"syncs": Query(_UP_TO_17, since={180000: _FROM_18})},
    thresholds={"limit": Threshold(2, 10, "ms"), "busy": Threshold(0.7, None, "of the time in an fsync")},
    needs=(needs.primary,),
    delta=True,
)
