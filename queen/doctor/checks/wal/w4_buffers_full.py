"""W4: sessions write the log themselves because its buffers are full."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.shared import WAL
from queen.doctor.system import set_system
from queen.doctor.wal import grown, megabytes

_COUNT_MIN: Final = 5  # one large transaction may fill them now and then
_WANTED: Final = 64 << 20


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when it happens too often a second."""
    full = grown(seen)["wal_buffers_full"]
    rate = full / seen.window_s
    severity = seen.limits["limit"].judge(rate)
    if severity is None or full < _COUNT_MIN:
        return
    size = seen.facts.settings.bytes("wal_buffers")
    yield Finding(
        severity,
        f"the buffers of the log ({megabytes(size):g} MB) were full {rate:.1f} times a second",
        {"buffers_full": full, "per_s": round(rate, 1), "wal_buffers_MB": megabytes(size)},
        "Set wal_buffers to 64MB."
        if size < _WANTED
        else "The disk does not take the log as fast as it is made: see W2, W3 and W5.",
        object="wal_buffers",
        threshold=seen.limits["limit"],
        at_stake=stake.wait_share(seen.waits.share("LWLock:WALWrite")),
        fix=_fix(seen, size),
    )


def _fix(seen: Seen, size: float) -> Fix | None:
    return set_system(seen.facts, {"wal_buffers": "64MB"}) if size < _WANTED else None


CHECK = Check(
    id="W4",
    group="wal",
    title="Buffers of the log are full",
    why="A session that finds no free buffer writes to the disk inside its insert, and all the others wait for it.",
    false_positive="A single bulk load of large rows.",
    explain="""\
Changes are put into wal_buffers first and written at the commit. When they are full before that, the session that needs
room writes them out by itself, under a lock that every other writer needs.

The counter wal_buffers_full of pg_stat_wal is read twice. The remedy is a larger wal_buffers, 64MB; it takes a restart.
When that is in force already, the disk is the limit.""",
    evaluate=evaluate,
    queries={"wal": WAL},
    thresholds={"limit": Threshold(1, 50, "times a second")},
    needs=(needs.primary,),
    delta=True,
)
