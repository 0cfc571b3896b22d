"""From meter readings to costs a message: windows, cells, and the figures they are held against.

Pure arithmetic on readings taken elsewhere. All costs are CPU-microseconds, bytes or counts for one message;
None where a meter was not there.
"""

from __future__ import annotations

import statistics

import msgspec

from benchmarks.lib.plan import Counters, Latency, Step
from benchmarks.lib.postgres import PgCounters
from queen.measure.processes import MachineCpu

SHORT_S = 1.0
UNBALANCED = 0.05
GENERATOR_BUSY = 0.9
OTHERS_BUSY = 0.1
STEAL = 0.02

# CPU-µs a message, server and PostgreSQL together, by stage and messages a request: a throw-away prototype of the
# same design behind uvicorn (plain ASGI, 1,000 partitions, 64 connections, 265-byte payloads) on two AMD EPYC
# virtual cores with PostgreSQL 15, fsync on. It had no limits, error answers, lease expiry or duplicate path.
REFERENCE_US: dict[str, dict[int, float]] = {
    "push": {1: 152.0, 10: 29.0, 100: 15.0},
    "drain": {1: 220.0, 10: 30.3, 100: 9.4},
    "life": {1: 331.0, 10: 59.0, 100: 24.0},
}


class Reading(msgspec.Struct, frozen=True):
    """All meters at one edge of a window. Processor times in seconds, None when there is no such process here."""

    counters: Counters
    server_s: float | None
    postgres_s: float | None
    machine: MachineCpu
    pg: PgCounters | None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One measured stretch. `messages` are those pushed (stage push, paced) or acked (drain, life) in it; every cost is
    divided by them. Shares are of all cores, `generator_share` of one. `notes` say what to think of it."""

    repeat: int
    seconds: float
    messages: int
    msg_per_s: float
    pushed: int
    acked: int
    server_us: float | None
    postgres_us: float | None
    total_us: float | None
    generator_us: float
    generator_share: float
    others_share: float | None
    steal_share: float
    wal_bytes: float | None
    full_pages: float | None
    writes: float | None
    commits: float | None
    statements: float | None
    checkpoints: int | None
    messages_per_pop: float | None
    pops_empty: int
    latency: dict[str, Latency]
    counts: bool
    notes: list[str]


class Cell(msgspec.Struct, frozen=True):
    """One stage at one size. `best` is the counting window with the least total cost (or, without that meter, the
    most messages a second); `median_*` are over the counting windows. Empty when no window counts."""

    stage: str
    size: int
    best: Window | None
    median_msg_per_s: float | None
    median_total_us: float | None
    reference_us: float | None
    best_to_reference: float | None
    median_to_reference: float | None
    windows: list[Window]


def make_window(step: Step, start: Reading, end: Reading, latency: dict[str, Latency], cores: int) -> Window:
    a, b = start.counters, end.counters
    seconds = b.at_s - a.at_s
    pushed, acked = b.pushed - a.pushed, b.acked - a.acked
    messages = pushed if step.kind in ("push", "paced") else acked
    generator_s = b.cpu_s - a.cpu_s
    server, postgres = _diff(start.server_s, end.server_s), _diff(start.postgres_s, end.postgres_s)
    busy = end.machine.busy_s - start.machine.busy_s
    steal_share = (end.machine.steal_s - start.machine.steal_s) / (seconds * cores)
    known = None if server is None or postgres is None else server + postgres
    others = None if known is None else max(0.0, busy - known - generator_s) / (seconds * cores)
    pg = {name: _per(_pg_diff(start.pg, end.pg, name), messages) for name in PgCounters.__struct_fields__}
    pops = b.pops - a.pops
    faults = _faults(step, seconds, messages, pushed, acked)
    return Window(
        repeat=step.repeat,
        seconds=seconds,
        messages=messages,
        msg_per_s=messages / seconds,
        pushed=pushed,
        acked=acked,
        server_us=_micro(_per(server, messages)),
        postgres_us=_micro(_per(postgres, messages)),
        total_us=_micro(_per(known, messages)),
        generator_us=_micro(_per(generator_s, messages)) or 0.0,
        generator_share=generator_s / seconds,
        others_share=others,
        steal_share=steal_share,
        wal_bytes=pg["wal_bytes"],
        full_pages=pg["full_pages"],
        writes=pg["writes"],
        commits=pg["commits"],
        statements=pg["statements"],
        checkpoints=_pg_diff(start.pg, end.pg, "checkpoints"),
        messages_per_pop=(b.popped - a.popped) / pops if pops else None,
        pops_empty=b.pops_empty - a.pops_empty,
        latency=latency,
        counts=not faults,
        notes=faults + _remarks(generator_s / seconds, others, steal_share),
    )


def _faults(step: Step, seconds: float, messages: int, pushed: int, acked: int) -> list[str]:
    """Reasons for which a window does not count."""
    faults = []
    if seconds < SHORT_S or not messages:
        faults.append(f"short: {messages} messages in {seconds:.2f} s")
    if step.kind == "life" and abs(pushed - acked) > UNBALANCED * max(acked, 1):
        faults.append(f"unbalanced: {pushed} pushed, {acked} acked")
    return faults


def _remarks(generator_share: float, others: float | None, steal: float) -> list[str]:
    """What to know about a window that counts."""
    remarks = []
    if generator_share > GENERATOR_BUSY:
        remarks.append(f"generator-limited: {generator_share:.0%} of a core, so msg/s is a lower bound")
    if others is not None and others > OTHERS_BUSY:
        remarks.append(f"others used {others:.0%} of the machine")
    if steal > STEAL:
        remarks.append(f"the hypervisor took {steal:.0%}")
    return remarks


def make_cell(stage: str, size: int, windows: list[Window]) -> Cell:
    counting = [window for window in windows if window.counts]
    best = min(counting, key=_rank, default=None)
    totals = [window.total_us for window in counting if window.total_us is not None]
    median = statistics.median(totals) if totals else None
    reference = REFERENCE_US.get(stage, {}).get(size)
    return Cell(
        stage=stage,
        size=size,
        best=best,
        median_msg_per_s=statistics.median(window.msg_per_s for window in counting) if counting else None,
        median_total_us=median,
        reference_us=reference,
        best_to_reference=ratio(best.total_us if best else None, reference),
        median_to_reference=ratio(median, reference),
        windows=windows,
    )


def _rank(window: Window) -> tuple[float, float]:
    return (window.total_us if window.total_us is not None else 0.0, -window.msg_per_s)


def ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or not base else value / base


def _diff(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


def _pg_diff(start: PgCounters | None, end: PgCounters | None, name: str) -> int | None:
    if start is None or end is None or getattr(start, name) is None:
        return None
    return int(getattr(end, name) - getattr(start, name))


def _per(total: float | None, messages: int) -> float | None:
    return None if total is None or not messages else total / messages


def _micro(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e6
