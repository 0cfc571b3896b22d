"""M1: PostgreSQL's memory against the machine's: buffers too small or too large, or all of it together too much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from queen.doctor import needs
from queen.doctor.check import Check, NotSeen, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.probes.memory import MachineMemory
from queen.doctor.system import set_system
from queen.doctor.wal import megabytes

_MIB: Final = 1 << 20
_LEAST: Final = 128 * _MIB  # what PostgreSQL comes with
_MOST: Final = 16 << 30  # the hot part of a queue is its newest end: more is better left to the system's cache
_SESSION: Final = 10 * _MIB  # what a session takes beside its work_mem
_SORTS: Final = 4  # sorts and hashes that one statement may hold at once

# Whoever is connected to a database, whatever the role: for others their kind is hidden without pg_monitor.
_SESSIONS = "SELECT count(*) AS sessions FROM pg_stat_activity WHERE datid IS NOT NULL"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """At most one finding about shared_buffers, and one about the sum."""
    memory = seen.host.memory if seen.host else None
    if memory is None:
        raise NotSeen("the memory of this machine cannot be read")
    yield from _buffers(seen, memory)
    total, parts = _sum(seen)
    severity = seen.limits["sum"].judge(total / memory.limit)
    if severity is not None:
        yield Finding(
            severity,
            f"PostgreSQL may take {megabytes(total):.0f} MB, {total / memory.limit:.0%} of the memory",
            {**parts, "sum_MB": megabytes(total), **_of(memory)},
            "Lower work_mem, or the pools of the Queen servers: queen tune-pg divides the memory.",
            object="work_mem",
            threshold=seen.limits["sum"],
        )


def _buffers(seen: Seen, memory: MachineMemory) -> Iterable[Finding]:
    now = seen.facts.settings.bytes("shared_buffers")
    wanted = int(min(max(memory.limit / 4, _LEAST), _MOST)) // _MIB
    share, small = now / memory.limit, seen.limits["small"].warn
    severity = seen.limits["limit"].judge(share)
    if severity is None and (small is None or now > small * _MIB or wanted < 2 * small):
        return
    verb = "is small for" if severity is None else "takes much of"
    yield Finding(
        severity or "warn",
        f"shared_buffers, {megabytes(now):g} MB, {verb} a memory of {megabytes(memory.limit):.0f} MB",
        {"shared_buffers_MB": megabytes(now), "share": round(share, 4), **_of(memory)},
        f"Set shared_buffers to {wanted}MB, a quarter of the memory; queen tune-pg plans the rest.",
        object="shared_buffers",
        threshold=seen.limits["limit" if severity else "small"],
        fix=set_system(seen.facts, {"shared_buffers": f"{wanted}MB"}),
    )


def _sum(seen: Seen) -> tuple[float, dict[str, Any]]:
    """Buffers, the sessions that are there now with all that a statement may take, and the vacuum workers."""
    settings, sessions = seen.facts.settings, seen.row("sessions")["sessions"]
    vacuum = settings.bytes("autovacuum_work_mem", -1)
    if settings.number("autovacuum_work_mem", -1) < 0:
        vacuum = settings.bytes("maintenance_work_mem")
    workers = settings.number("autovacuum_max_workers", 3)
    each = _SORTS * settings.bytes("work_mem") + _SESSION
    total = settings.bytes("shared_buffers") + sessions * each + workers * vacuum
    return total, {"sessions": sessions, "session_MB": megabytes(each), "vacuum_MB": megabytes(workers * vacuum)}


def _of(memory: MachineMemory) -> Mapping[str, Any]:
    return {"memory_MB": megabytes(memory.limit), "limited_by": memory.limited_by}


CHECK = Check(
    id="M1",
    group="memory",
    title="Memory of PostgreSQL and of the machine",
    why="With small buffers the newest messages are read back from the system; with too much promised, a busy minute "
    "ends with processes killed.",
    false_positive="A machine that PostgreSQL shares with much else on purpose.",
    explain="""\
The memory is the machine's, or the least limit of the control groups above PostgreSQL. shared_buffers is compared with
it: PostgreSQL's default of 128 MB is small where a quarter of the memory is twice that; above 40 % the system's own
cache and the sessions go short.

The sum counts shared_buffers, for each session that is connected now four times work_mem and 10 MB, and for each
autovacuum worker its memory. It should stay within 80 %.

shared_buffers takes a restart. `queen tune-pg` computes these values from the machine and the load.""",
    evaluate=evaluate,
    queries={"sessions": Query(_SESSIONS)},
    thresholds={
        "limit": Threshold(0.40, None, "of the memory"),
        "sum": Threshold(0.80, None, "of the memory"),
        "small": Threshold(128, None, "MB of shared_buffers or less"),
    },
    needs=(needs.local,),
)
