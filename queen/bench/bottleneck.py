"""What held the rate back, in one sentence with its evidence. Pure: a table of rules, the first that applies speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

_BUSY: Final = 0.9
_AT_WORK_MIN: Final = 0.5
"""Queen's sessions at work on average, below which what they wait for holds nobody back."""
_SHARE_MIN: Final = 0.3


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Averages over the measured time; cpu values in cores. None: not known."""

    cores: int
    waits: Mapping[str, int] = {}
    samples: int = 0
    """How often waits were looked at."""
    machine_cpu: float | None = None
    steal: float | None = None
    server_cpu: float | None = None
    server_workers: int = 1
    postgres_cpu: float | None = None
    generator_cpu: float | None = None
    generator_busiest: float | None = None
    """The busiest worker, of one core."""
    generator_lag_p99_ms: float | None = None
    slo_ms: float | None = None
    overflow: int = 0
    pool_in_use: float | None = None
    pool_waiting: float | None = None
    pool_size: float | None = None
    same_host: bool = True


class Bottleneck(NamedTuple):
    """`name` and `short` (such as `WAL fsync 41 %`) for one line, `sentence` for the report."""

    name: str
    short: str
    sentence: str


WAIT_GROUPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("WAL fsync", ("io:walsync", "lwlock:walwrite", "io:walwrite", "io:walinitsync", "io:walsyncmethodassign")),
    ("synchronous standby", ("ipc:syncrep",)),
    ("row locks", ("lock:",)),
    ("reads from disk", ("io:datafileread", "io:bufferread", "io:slruread")),
    ("writes to disk", ("io:datafile", "io:buffile", "io:wal")),
    ("WAL insert", ("lwlock:walinsert", "lwlock:walbufmapping")),
    ("locks inside PostgreSQL", ("lwlock:", "bufferpin:", "buffer:")),
)
"""Names and the beginnings of the events that belong to them; the first that fits takes an event."""


def find(evidence: Evidence) -> Bottleneck:
    """The bottleneck, or `no clear one` with what came closest."""
    for rule in RULES:
        found = rule(evidence)
        if found is not None:
            return found
    return _none(evidence)


def shares(waits: Mapping[str, int]) -> dict[str, tuple[float, str]]:
    """By name of a group, or `CPU`: its share of the samples, and its most frequent event. Sessions that wait for
    their client are at nobody's expense."""
    counted = {event: count for event, count in waits.items() if not event.lower().startswith("client:")}
    total = sum(counted.values())
    groups: dict[str, dict[str, int]] = {}
    for event, count in counted.items():
        groups.setdefault(group_of(event), {})[event] = count
    return {name: (sum(of.values()) / total, max(of, key=of.__getitem__)) for name, of in groups.items() if total}


def group_of(event: str) -> str:
    """The name under which an event is told."""
    small = event.lower()
    return next((name for name, starts in WAIT_GROUPS if small.startswith(starts)), event)


def _generator(e: Evidence) -> Bottleneck | None:
    why = []
    if e.generator_busiest is not None and e.generator_busiest > 0.8:
        why.append(f"its busiest worker uses {_percent(e.generator_busiest)} of a core")
    if e.generator_lag_p99_ms is not None and e.slo_ms is not None and e.generator_lag_p99_ms > e.slo_ms / 10:
        why.append(f"lag p99 {e.generator_lag_p99_ms:.1f} ms against an objective of {e.slo_ms:g} ms")
    if not why:
        return None
    if e.overflow:
        why.append(f"{e.overflow} messages had to wait for their turn")
    share = f" {_percent(e.generator_busiest)}" if e.generator_busiest is not None else ""
    return Bottleneck("generator", f"generator{share}", f"generator: {', '.join(why)}")


def _steal(e: Evidence) -> Bottleneck | None:
    if e.steal is None or e.steal / e.cores < 0.05:
        return None
    share = _percent(e.steal / e.cores)
    return Bottleneck("hypervisor", f"hypervisor {share}", f"hypervisor: it took away {share} of the machine's time")


def _machine(e: Evidence) -> Bottleneck | None:
    if e.machine_cpu is None or e.machine_cpu < _BUSY * e.cores:
        return None
    of = (("generator", e.generator_cpu), ("server", e.server_cpu), ("PostgreSQL", e.postgres_cpu))
    parts = ", ".join(f"{name} {_percent(value)}" for name, value in of if value is not None)
    text = f"{e.machine_cpu:.1f} of {e.cores} cores busy" + (f" ({parts} of a core)" if parts else "")
    return Bottleneck("machine", f"machine {_percent(e.machine_cpu / e.cores)}", f"machine: {text}")


def _server(e: Evidence) -> Bottleneck | None:
    if e.server_cpu is None or e.server_cpu < _BUSY * e.server_workers:
        return None
    of = "a core" if e.server_workers == 1 else f"a core, with {e.server_workers} workers"
    share = _percent(e.server_cpu)
    return Bottleneck("server CPU", f"server CPU {share}", f"server CPU: {share} of {of}")


def _postgres(e: Evidence) -> Bottleneck | None:
    if e.postgres_cpu is None or e.postgres_cpu < 0.8 * e.cores:
        return None
    text = f"PostgreSQL CPU: {e.postgres_cpu:.1f} of {e.cores} cores"
    on_cpu = shares(e.waits).get("CPU")
    if on_cpu:
        text += f", {_percent(on_cpu[0])} of samples do not wait"
    return Bottleneck("PostgreSQL CPU", f"PostgreSQL CPU {_percent(e.postgres_cpu / e.cores)}", text)


def _waits(e: Evidence) -> Bottleneck | None:
    if not e.samples or sum(e.waits.values()) / e.samples < _AT_WORK_MIN:
        return None
    found = {name: share for name, share in shares(e.waits).items() if name != "CPU"}
    if not found:
        return None
    name = max(found, key=lambda one: found[one][0])
    share, event = found[name]
    if share < _SHARE_MIN:
        return None
    text = f"{name}: {_percent(share)} of samples wait in {event}"
    return Bottleneck(name, f"{name} {_percent(share)}", text)


def _pool(e: Evidence) -> Bottleneck | None:
    if not e.pool_waiting or not e.pool_size or e.pool_waiting < 1 or (e.pool_in_use or 0) < _BUSY * e.pool_size:
        return None
    text = f"{e.pool_in_use:.0f} of {e.pool_size:.0f} connections in use, {e.pool_waiting:.0f} requests in line"
    return Bottleneck("connection pool", f"connection pool {e.pool_waiting:.0f} in line", f"connection pool: {text}")


RULES: Final[tuple[Callable[[Evidence], Bottleneck | None], ...]] = (
    _generator,
    _steal,
    _machine,
    _server,
    _postgres,
    _waits,
    _pool,
)
"""In this order: what makes the figures themselves doubtful comes first, symptoms last."""


def _none(e: Evidence) -> Bottleneck:
    parts = []
    if e.machine_cpu is not None:
        parts.append(f"machine {_percent(e.machine_cpu / e.cores)} busy")
    if e.server_cpu is not None:
        parts.append(f"server {_percent(e.server_cpu)} of a core")
    found = shares(e.waits)
    if found and e.samples:
        name = max(found, key=lambda one: found[one][0])
        at_work = sum(e.waits.values()) / e.samples
        parts.append(f"{at_work:.1f} sessions at work, most in {found[name][1]} ({_percent(found[name][0])})")
    return Bottleneck("no clear one", "no clear one", f"no clear one: {', '.join(parts) or 'nothing was observed'}")


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
