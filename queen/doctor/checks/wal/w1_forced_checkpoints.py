"""W1: checkpoints that come because the log is full, not because it is time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, NotSeen, Query, Seen
from queen.doctor.finding import NO_STAKE, Finding, Fix, Stake, Threshold
from queen.doctor.shared import WAL
from queen.doctor.system import set_system
from queen.doctor.wal import grown, image_bytes, megabytes, trigger_bytes
from queen.store.inspect import Row

_COUNT_MIN: Final = 5  # fewer checkpoints are no share
_GIB: Final = 1 << 30
_DISK_SHARE: Final = 0.4  # of the space of the log: the rest is for what slots and the archiver keep

_BGWRITER = """
SELECT 'all' AS what, checkpoints_timed AS timed, checkpoints_req AS requested,
       EXTRACT(epoch FROM clock_timestamp() - stats_reset)::float8 AS age_s
  FROM pg_stat_bgwriter
"""
_CHECKPOINTER = """
SELECT 'all' AS what, num_timed AS timed, num_requested AS requested,
       EXTRACT(epoch FROM clock_timestamp() - stats_reset)::float8 AS age_s
  FROM pg_stat_checkpointer
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """Forced now: inside the window. Or forced as a rule: since the counters began, when they are old enough."""
    log = grown(seen)
    rate = log["position"] / seen.window_s
    now = _now(seen, rate)
    share = now if now is not None else _as_a_rule(seen, log)
    severity = seen.limits["limit"].judge(share) if share is not None else None
    if severity is not None and share is not None:
        yield _finding(seen, log, max(rate, _average(log)), share, severity)
    elif share is None and rate > 0 and trigger_bytes(seen.facts.settings) / rate < _timeout(seen):
        raise NotSeen("no checkpoint came inside the window, and its counters are young", "queen doctor --window 5m")


def _now(seen: Seen, rate: float) -> float | None:
    """The share inside the window. None when none was requested, or the log grows too slowly to force one: then
    somebody asked for it."""
    rows = seen.changes("checkpoints", "what", "timed", "requested")
    if not rows or not rows[0]["requested"] or not rate:
        return None
    if trigger_bytes(seen.facts.settings) / rate >= _timeout(seen):
        return None
    return float(rows[0]["requested"] / (rows[0]["timed"] + rows[0]["requested"]))


def _as_a_rule(seen: Seen, log: Row) -> float | None:
    """The share since the counters began. Of the requested ones at most so many were forced as the log since then is
    worth: the others were asked for, by CHECKPOINT, DROP DATABASE or a backup."""
    row = seen.row("checkpoints")
    count = row["timed"] + row["requested"]
    if count < _COUNT_MIN or seen.limits["age"].judge(row["age_s"] or 0.0) is None:
        return None
    written = _average(log) * row["age_s"]
    return float(min(row["requested"], written / trigger_bytes(seen.facts.settings)) / count)


def _average(log: Row) -> float:
    """Bytes a second since the log's counters began."""
    return float(log["total_bytes"] / max(log["age_s"] or 0.0, 1.0))


def _timeout(seen: Seen) -> float:
    return seen.facts.settings.seconds("checkpoint_timeout", 300)


def _finding(seen: Seen, log: Row, rate: float, share: float, severity: str) -> Finding:
    counted = seen.row("checkpoints")
    settings = seen.facts.settings
    wanted = _wanted(seen, rate)
    return Finding(
        "crit" if severity == "crit" else "warn",
        f"{share:.0%} of checkpoints come because max_wal_size is full, about every "
        f"{trigger_bytes(settings) / max(rate, 1.0):.0f} s instead of {_timeout(seen):.0f} s",
        {
            "forced_share": round(share, 3),
            "timed": counted["timed"],
            "requested": counted["requested"],
            "counted_s": round(counted["age_s"] or 0.0),
            "wal_MB_per_s": round(rate / (1 << 20), 2),
            "max_wal_size_MB": megabytes(settings.bytes("max_wal_size")),
            "checkpoint_timeout_s": _timeout(seen),
        },
        f"Raise max_wal_size to {wanted} MB: what is written between two checkpoints by the clock, and a fifth more."
        if wanted
        else "The disk of the log has no room for a larger max_wal_size: batch more, or give it a larger disk.",
        threshold=seen.limits["limit"],
        at_stake=_stake(seen, log, rate),
        fix=_fix(seen, wanted),
    )


def _wanted(seen: Seen, rate: float) -> int:
    """In MB; whole GB where the disk allows it. 0: not more than there is now."""
    settings = seen.facts.settings
    target = settings.number("checkpoint_completion_target", 0.9)
    size = math.ceil(rate * _timeout(seen) * (1 + target) * 1.2 / _GIB) * _GIB
    disk = seen.host.wal_disk if seen.host else None
    most = (disk.free + settings.bytes("max_wal_size")) * _DISK_SHARE if disk else size
    size = int(min(size, most))
    return size >> 20 if size > settings.bytes("max_wal_size") else 0


def _fix(seen: Seen, wanted: int) -> Fix | None:
    return set_system(seen.facts, {"max_wal_size": f"{wanted}MB"}) if wanted else None


def _stake(seen: Seen, log: Row, rate: float) -> Stake:
    """With checkpoints by the clock a page is imaged once an interval: images fall at most by the factor between the
    two spacings."""
    images = min(image_bytes(log["total_images"], seen.facts.settings), log["total_bytes"])
    spacing = trigger_bytes(seen.facts.settings) / max(rate, 1.0)
    saved = images * max(0.0, 1 - spacing / _timeout(seen))
    return stake.wal_ceiling(log["total_bytes"], log["total_bytes"] - saved) if saved else NO_STAKE


CHECK = Check(
    id="W1",
    group="wal",
    title="Checkpoints forced by the volume of the log",
    why="After each checkpoint the first change of every page logs the whole page, so the log of a message grows when "
    "load is highest.",
    false_positive="A bulk load or a restore inside the window.",
    explain="""\
PostgreSQL makes a checkpoint when checkpoint_timeout is over, or when the log since the last one has reached
max_wal_size / (1 + checkpoint_completion_target). The second kind comes the more often the higher the load is.

The check looks at the window first: a checkpoint was requested in it, and the log grows fast enough to force one before
its time. Else it takes the counters since their reset, and counts as forced at most so many as the log written since
then is worth; what was asked for by CHECKPOINT, DROP DATABASE or a backup is not held against the server.

The remedy is room: max_wal_size for the log of one interval, at most 40 % of the disk that holds it. Recovery after a
crash then reads more log; a shorter checkpoint_timeout bounds that.""",
    evaluate=evaluate,
    queries={"checkpoints": Query(_BGWRITER, since={170000: _CHECKPOINTER}), "wal": WAL},
    thresholds={
        "limit": Threshold(0.10, 0.50, "of checkpoints"),
        "age": Threshold(600, None, "s that the counters have counted"),
    },
    needs=(needs.primary,),
    delta=True,
)
