"""S2: the disk below the data is full, or will be soon."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Severity, Threshold
from queen.doctor.probes.disk import Disk
from queen.doctor.probes.host import Host
from queen.doctor.system import grant_monitor
from queen.errors import CannotLook
from queen.store.inspect import Row

OBSERVED_MIN_S: Final = 600.0
"""Growth is told from what was stored in ten minutes or more: one burst fills no disk."""
WINDOW_MIN_S: Final = 60.0
"""The disk's own growth inside a window counts from this length on, which is more than a run has unasked: below, one
checkpoint or the log of a burst would be all of it."""
ROOMY_BYTES: Final = 64 << 30
"""A tenth of a large disk is no little room."""

# What is stored in a day, by the child tables that were opened in it, and how many left. The newest two children give
# the rate: one alone may be a minute old.
_STORE = """
SELECT extract(epoch FROM clock_timestamp() - min(e.opened_at) FILTER (WHERE e.nth <= 2))::float8 AS observed_s,
       sum(pg_total_relation_size(c.oid)) FILTER (WHERE e.nth <= 2)::float8 AS stored_bytes,
       count(*) FILTER (WHERE e.opened_at > now() - interval '1 day') AS opened,
       count(*) AS children, min(e.epoch) AS oldest,
       sum(pg_total_relation_size(c.oid))::float8 AS all_bytes,
       (SELECT coalesce(sum(a.epochs_dropped), 0) FROM {schema}.activity a
         WHERE a.queue_id = 0 AND a.bucket > now() - interval '1 day')::float8 AS dropped
  FROM (SELECT t.*, row_number() OVER (ORDER BY t.epoch DESC) AS nth FROM {schema}.epochs t) e
  JOIN pg_namespace n ON n.nspname = {schema_name}
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'messages_' || e.epoch
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each file system that is nearly full, or will be within the threshold."""
    disks = _disks(seen.host)
    if "data" not in disks:
        raise CannotLook("the folder of the data is not known or cannot be reached", hint=_enable(seen))
    for name, disk in disks.items():
        growth, source = _growth(seen, name, disk)
        hours = disk.free / growth / 3600 if growth > 0 else None
        severity = _severity(seen, disk, hours)
        if severity is not None:
            yield _finding(seen, name, disk, severity, (growth, source, hours))


def _disks(host: Host | None) -> dict[str, Disk]:
    """The file system of the data, and that of the log where it is another."""
    data, wal = (host.data_disk, host.wal_disk) if host is not None else (None, None)
    found = {"data": data, "wal": wal if data is None or wal is None or wal.device != data.device else None}
    return {name: disk for name, disk in found.items() if disk is not None}


def _enable(seen: Seen) -> str:
    if not seen.facts.pg_monitor:
        return grant_monitor(seen.facts)
    return "run queen doctor as the user that runs PostgreSQL"


def _growth(seen: Seen, name: str, disk: Disk) -> tuple[float, str]:
    """Bytes a second, and where that is known from: the larger of what the store keeps and what the disk shows."""
    found = [(0.0, "no growth seen")]
    if name == "data":
        found.append((_store_growth(seen.row("store")), "child tables of the last epochs"))
    before = _disks(seen.host_before).get(name)
    if before is not None and seen.window_s >= WINDOW_MIN_S:
        found.append(((before.free - disk.free) / seen.window_s, "the disk inside the window"))
    return max(found)


def _store_growth(row: Row) -> float:
    """What comes in, less the share of epochs that leave again. Where as many leave as come, nothing grows."""
    if not row or (row["observed_s"] or 0) < OBSERVED_MIN_S:
        return 0.0
    comes = (row["stored_bytes"] or 0.0) / row["observed_s"]
    leaves = min(1.0, row["dropped"] / max(row["opened"], 1))
    return float(comes * (1 - leaves))


def _severity(seen: Seen, disk: Disk, hours: float | None) -> Severity | None:
    by_time = seen.limits["limit"].judge_low(hours) if hours is not None else None
    by_room = seen.limits["free"].judge_low(100 * disk.free / max(disk.total, 1)) if disk.free < ROOMY_BYTES else None
    return "crit" if "crit" in (by_time, by_room) else by_time or by_room


def _finding(seen: Seen, name: str, disk: Disk, severity: Severity, growth: tuple[float, str, float | None]) -> Finding:
    rate, source, hours = growth
    when = f"is full in {hours:.0f} h at this rate" if hours is not None else "is nearly full"  # no growth was seen
    store = seen.row("store")
    return Finding(
        severity,
        f"the disk of {name} {when}: {disk.free / 2**30:.1f} GiB free",
        {
            "folder": disk.folder,
            "free_bytes": disk.free,
            "total_bytes": disk.total,
            "growth_bytes_per_s": round(rate),
            "growth_from": source,
            "full_in_h": round(hours, 1) if hours is not None else None,
            "messages_bytes": int(store.get("all_bytes") or 0),
            "epochs_opened_24h": store.get("opened"),
            "epochs_dropped_24h": int(store.get("dropped") or 0),
        },
        "Give the queues a retention (retentionEnabled, retentionSeconds, completedRetentionSeconds), find groups that "
        "hold it back (Q2) and slots that hold the log back (W6), or enlarge the disk.",
        object=disk.folder,
        threshold=seen.limits["limit" if hours is not None and seen.limits["limit"].judge_low(hours) else "free"],
    )


CHECK = Check(
    id="S2",
    group="statements",
    title="Disk full in",
    why="When the disk of the data or of the log is full, PostgreSQL stops, and every push fails.",
    false_positive="Retention is long and has not taken effect yet: growth ends by itself when the first epoch leaves.",
    explain="""\
Free bytes of the file system below the data, and below pg_wal where that is another one, divided by growth.

Growth comes from two places, the larger one counts. What the newest two child tables of `messages` took over their
life, ten minutes at least, less the share of children that left again in the last day: where as many leave as are
opened, nothing grows. And what the disk itself shows inside the window, when that is a minute or longer
(--window 60s), which sees other programs and the log too.

Little room is a finding by itself, with or without growth.""",
    evaluate=evaluate,
    queries={"store": Query(_STORE, once=True)},
    thresholds={"limit": Threshold(72, 6, "h"), "free": Threshold(10, 3, "% free")},
    needs=(needs.tables, needs.local),
    delta=True,
)
