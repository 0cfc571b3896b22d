"""Is the machine quiet enough to measure on, and was it the same one at the end? Warnings as sentences, never names of
people or paths."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from queen.measure.processes import Process, look_at_machine, read_processes, tree
from queen.store.probe import Probe

_BUSY_SHARE: Final = 0.1
_STEAL_SHARE: Final = 0.02
_SYS: Final = Path("/sys")


async def noise(seconds: float = 3.0, *, own_pids: Collection[int] = (), probe: Probe | None = None) -> list[str]:
    """Look at the idle machine for so long. `own_pids`: processes, with all that they started, that belong to the run;
    this one does anyway. Empty when all is quiet, or nothing can be seen."""
    found = []
    if probe is not None and ((await probe.row("checkpoint_running")) or {}).get("running"):
        found.append("a checkpoint is running")
    before, machine, throttled = read_processes(), look_at_machine(), throttlings()
    began = time.monotonic()
    await asyncio.sleep(seconds)
    took, after, later = time.monotonic() - began, read_processes(), look_at_machine()
    found += busy_others(before, after, took, {os.getpid(), *own_pids})
    if machine and later:
        stolen = (later.steal_s - machine.steal_s) / took / (os.cpu_count() or 1)
        if stolen > _STEAL_SHARE:
            found.append(f"the hypervisor took away {stolen * 100:.1f} % of the machine's time")
    if throttlings() > throttled:
        found.append("the processor is throttled")
    return found


def busy_others(
    before: Mapping[int, Process], after: Mapping[int, Process], seconds: float, own: Collection[int]
) -> list[str]:
    """Processes that are not ours and used more than a tenth of a core."""
    ours = {process.pid for pid in own for process in tree(dict(after), pid)}
    found = []
    for pid, process in after.items():
        share = (process.own_s - before[pid].own_s) / seconds if pid in before and seconds else 0.0
        if pid not in ours and share > _BUSY_SHARE:
            found.append((share, process.name))
    return [f"another process is busy: {name} ({share * 100:.0f} % of a core)" for share, name in sorted(found)[::-1]]


def throttlings(sys: Path = _SYS) -> int:
    """How often processors got too hot, or this group of processes used up its share, so far."""
    total = 0
    for path in (sys / "devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count"):
        total += _number(path)
    for name in ("cpu.stat", "cpu/cpu.stat"):
        try:
            lines = (sys / "fs/cgroup" / name).read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("nr_throttled "))
    return total


def changed_under_way(start: Mapping[str, Any], end: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two fingerprints of one run that must not; measured times and the load may."""
    found = []
    for key in sorted({*start, *end} - {"load_before", "disk"}):
        one, other, name = start.get(key), end.get(key), f"{prefix}{key}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += changed_under_way(one, other, f"{name}.")
        elif one != other:
            found.append(f"{name} was {one} and is {other}")
    return found


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
