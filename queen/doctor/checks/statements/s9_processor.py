"""S9: the database's processors are at their limit: which statements, and what would help."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import NO_STAKE, Finding, Fix, Severity, Stake, Threshold
from queen.doctor.statements import COUNTED, Statement, how_to_enable, inside, slowest
from queen.doctor.system import grant_monitor, identifier
from queen.errors import CannotLook
from queen.store.inspect import Row

SHOWN: Final = 5
WORK_MEM_MAX: Final = 256 << 20
CHILDREN_MANY: Final = 50
INDEX_SHARE: Final = 0.25
"""The indexes of the child that takes the pushes should leave room for all else in shared_buffers."""

_CHILDREN = """
SELECT count(*)::int AS children, max(e.epoch) AS newest,
       (array_agg(pg_relation_size(c.oid) ORDER BY e.epoch DESC))[1]::float8 AS heap_bytes,
       (array_agg(pg_indexes_size(c.oid) ORDER BY e.epoch DESC))[1]::float8 AS index_bytes,
       sum(pg_total_relation_size(c.oid))::float8 AS all_bytes
  FROM {schema}.epochs e
  JOIN pg_namespace n ON n.nspname = {schema_name}
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'messages_' || e.epoch
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """At the limit of the processors: what took the time, then work_mem and partitions where they would help."""
    severity, load = _load(seen)
    if severity is None:
        return
    found = inside(seen)
    yield _busy(seen, severity, load, found)
    yield from _work_mem(seen, severity, found)
    yield from _partitions(seen)


def _load(seen: Seen) -> tuple[Severity | None, dict[str, Any]]:
    """From PostgreSQL's processor time where it runs here, else from its active sessions that wait for nothing."""
    now, before = seen.host, seen.host_before
    if now and before and now.postgres_s is not None and before.postgres_s is not None and now.at > before.at:
        room_s = (now.at - before.at) * now.cpus
        share = 100 * max(0.0, now.postgres_s - before.postgres_s) / room_s
        machine = 100 * (now.busy_s - before.busy_s) / room_s
        shown = {"postgres_cpu_pct": round(share, 1), "machine_cpu_pct": round(machine, 1), "cpus": now.cpus}
        return seen.limits["limit"].judge(share), shown
    if not seen.facts.pg_monitor or not seen.waits.samples:
        raise CannotLook(
            "PostgreSQL runs elsewhere, and sessions of other roles are not seen",
            hint=grant_monitor(seen.facts),
        )
    sessions = seen.waits.busy * seen.waits.share("CPU")
    shown = {"sessions_on_cpu": round(sessions, 1), "samples": seen.waits.samples}
    return seen.limits["sessions"].judge(sessions), shown


def _busy(seen: Seen, severity: Severity, load: dict[str, Any], found: list[Statement]) -> Finding:
    missing = how_to_enable(seen.facts) or (None if found else _NONE_ENDED)
    told = f"{load['postgres_cpu_pct']:.0f} % of the processors" if "postgres_cpu_pct" in load else (
        f"{load['sessions_on_cpu']:.0f} sessions on a processor at once"
    )  # fmt: skip
    return Finding(
        severity,
        f"PostgreSQL keeps {told} busy" + (f"; most of it: {found[0].query[:60]}" if found else ""),
        {
            **load,
            "window_s": round(seen.window_s, 1),
            "by_total_time": [one.shown() for one in found[:SHOWN]],
            "by_mean_time": [one.shown() for one in slowest(found)[:SHOWN]],
            "statements_unknown_because": missing,
            "all_roles_seen": seen.facts.pg_monitor,
            "partitioning": _advice(seen)[0],
        },
        missing or _remedy(found[0]),
        object="processor",
        threshold=seen.limits["limit" if "postgres_cpu_pct" in load else "sessions"],
        at_stake=_bound(seen, found[0]) if found else NO_STAKE,
    )


_NONE_ENDED: Final = (
    "no statement that is seen here ended inside the window: use a longer one, and a role with pg_monitor"
)


def _remedy(top: Statement) -> str:
    return (
        f"The first statement takes {100 * top.share:.0f} % of the time. If it is not the queue's, look at its plan "
        "(EXPLAIN) or move it to a standby. If it is, larger batches a request cost least: Q6, then S1, V1 and I7 tell "
        "of batches, of statements that got dearer, and of scans."
    )


def _bound(seen: Seen, top: Statement) -> Stake:
    """Without the first statement there would be at most so much more of the others. The queue's own is the work."""
    if f'"{seen.facts.schema}"."' in top.query:
        return NO_STAKE
    share = min(top.share, 0.95)
    return Stake("bound", 0.0, round(100 * (1 / (1 - share) - 1), 1), "statement share", time_share=share)


def _work_mem(seen: Seen, severity: Severity, found: list[Statement]) -> Iterable[Finding]:
    spilling = [one for one in found if one.temp_bytes > 0 and one.database == seen.facts.database]
    # Sessions report their files with a delay of a second or more, their statements at once.
    written = max(_grown(seen, "temp_bytes"), sum(one.temp_bytes for one in spilling))
    if written <= 0:
        return
    now = seen.facts.settings.bytes("work_mem")
    most = max(spilling, key=lambda one: one.temp_bytes, default=None)
    wanted = _wanted(most.temp_bytes / most.calls if most else 0.0, now)
    yield Finding(
        severity if spilling else "info",
        f"{written / 2**20:.1f} MB of temporary files in {seen.window_s:.0f} s: sorts and hashes outgrow work_mem",
        {
            "temp_bytes": int(written),
            "temp_files": int(_grown(seen, "temp_files")),
            "work_mem_bytes": int(now),
            "statements": [{**one.shown(), "temp_bytes": int(one.temp_bytes)} for one in spilling[:SHOWN]],
        },
        f"Give this role a work_mem of {wanted >> 20} MB, here alone: each sort of each session may take as much.",
        object="work_mem",
        fix=_set_work_mem(seen, wanted) if wanted > now else None,
    )


def _grown(seen: Seen, counter: str) -> float:
    return float(seen.row("temp")[counter] - seen.first["temp"][0][counter])


def _wanted(bytes_per_call: float, now: float) -> int:
    """A sort takes two to three times in memory of what it writes to files. In powers of two megabytes."""
    need = max(3 * bytes_per_call, 2 * now, 1 << 20)
    return int(min(WORK_MEM_MAX, 1 << math.ceil(math.log2(need))))


def _set_work_mem(seen: Seen, wanted: int) -> Fix:
    target = f"ALTER ROLE {identifier(seen.facts.servers_role)} IN DATABASE {identifier(seen.facts.database)}"
    now = seen.facts.settings.get("work_mem")
    undo = f"{target} RESET work_mem"
    if now is not None and now.source == "database user":
        undo = f"{target} SET work_mem = '{now.value}kB'"
    return Fix("A", (f"{target} SET work_mem = '{wanted >> 20}MB'",), (undo,), "Sessions that begin later have it.")


def _partitions(seen: Seen) -> Iterable[Finding]:
    text, bytes_max = _advice(seen)
    if bytes_max is None:
        return
    row = seen.row("children")
    yield Finding(
        "info",
        f"messages_{row['newest']} has {row['index_bytes'] / 2**20:.0f} MB of indexes: smaller children would fit "
        "into memory",
        {
            "children": row["children"],
            "heap_bytes": int(row["heap_bytes"]),
            "index_bytes": int(row["index_bytes"]),
            "shared_buffers_bytes": int(seen.facts.settings.bytes("shared_buffers")),
        },
        text,
        object="messages",
        fix=Fix("E", (f"QUEEN_ENGINE__EPOCH_BYTES_MAX={bytes_max >> 20}MiB queen serve",)),
    )


def _advice(seen: Seen) -> tuple[str, int | None]:
    """Whether `messages` should be cut into smaller children, and at which size in bytes; None: it should not."""
    row: Row = seen.row("children")
    if not row:
        return "not known: the tables cannot be read", None
    if not row["heap_bytes"]:
        return "no messages are stored", None
    buffers = seen.facts.settings.bytes("shared_buffers")
    index, heap, children = row["index_bytes"], row["heap_bytes"], row["children"]
    if index <= INDEX_SHARE * buffers:
        return f"no: the newest child's indexes ({index / 2**20:.0f} MB) fit into shared_buffers", None
    if children >= CHILDREN_MANY:
        return f"no: there are {children} children already, and each one makes planning dearer", None
    size = max(64 << 20, int(heap * INDEX_SHARE * buffers / index) >> 20 << 20)
    if size >= heap:
        return "no: smaller children would not fit either; raise shared_buffers (M1)", None
    return f"yes: with children of {size >> 20} MB their indexes would be a quarter of shared_buffers", size


CHECK = Check(
    id="S9",
    group="statements",
    title="Database processor at its limit",
    why="Every push, pop and ack waits for a processor; more connections and servers only make the line longer.",
    false_positive="A backup, an index build or a report inside the window.",
    explain="""\
Where PostgreSQL runs on this machine, the processor time of its processes inside the window is compared with what all
processors could give. Elsewhere the sessions are counted that are active and wait for nothing, ten times a second.

At the limit it lists the statements of the window from pg_stat_statements, by the time of all their calls and by that
of one call; without the extension it says so, and how to enable it. Statements that wrote temporary files get a larger
work_mem for their role. And it tells whether smaller children of `messages` would help: they would when the indexes of
the child that takes the pushes fill more than a quarter of shared_buffers, unless there are fifty children already.""",
    evaluate=evaluate,
    queries={
        "counted": COUNTED,
        "temp": Query("SELECT temp_files, temp_bytes FROM pg_stat_database WHERE datname = current_database()"),
        "children": Query(_CHILDREN, optional=True),
    },
    thresholds={"limit": Threshold(70, 90, "% of the processors"), "sessions": Threshold(8, 16, "sessions")},
    needs=(needs.schema,),
    delta=True,
)
