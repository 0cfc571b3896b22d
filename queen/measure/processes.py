"""Processor time of process trees and of the machine, from `/proc`. Linux only.

Times are in seconds. A tree's time counts its living processes and, by what each has inherited, those that
ended and were waited for; so a backend that exits inside a window is not lost.
On other systems every figure is None or empty, never an error.
It knows nothing of PostgreSQL's own counters or of what the figures are divided by.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

PROC = Path("/proc")
LISTENING = "0A"


class Process(msgspec.Struct, frozen=True):
    """One line of the process table. `reaped_s` is the time of children that ended and were waited for."""

    pid: int
    parent: int
    name: str
    own_s: float
    reaped_s: float


class MachineCpu(msgspec.Struct, frozen=True):
    """Seconds since boot over all cores: everything that was not idle, and what the hypervisor took away."""

    busy_s: float
    steal_s: float


def parse_stat(text: str, ticks: int) -> Process:
    """Reads `/proc/<pid>/stat`. The name may hold spaces and brackets, so it ends at the last bracket."""
    opening, closing = text.index("("), text.rindex(")")
    fields = text[closing + 2 :].split()
    times = [int(value) / ticks for value in fields[11:15]]
    return Process(int(text[:opening]), int(fields[1]), text[opening + 1 : closing], sum(times[:2]), sum(times[2:]))


def read_processes(proc: Path = PROC) -> dict[int, Process]:
    """All processes by id. One that ends while we look is left out."""
    ticks = os.sysconf("SC_CLK_TCK")
    table: dict[int, Process] = {}
    if not (proc / "stat").exists():
        return table
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                process = parse_stat((entry / "stat").read_text(errors="replace"), ticks)
            except (OSError, ValueError):
                continue
            table[process.pid] = process
    return table


def tree(table: dict[int, Process], root: int, without: int | None = None) -> list[Process]:
    """`root` and all its descendants, leaving out the subtree of `without`; empty if `root` is gone."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        if pid in table and pid != without:
            found.append(table[pid])
            todo.extend(children.get(pid, ()))
    return found


def cpu_s(processes: Iterable[Process]) -> float:
    return sum(process.own_s + process.reaped_s for process in processes)


def rss_bytes(pid: int, proc: Path = PROC) -> int:
    """Resident memory of one process; 0 when it is gone."""
    try:
        return int((proc / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def look_at_machine(proc: Path = PROC) -> MachineCpu | None:
    """As `read_machine`; None where the system does not tell."""
    try:
        return read_machine(proc)
    except (OSError, ValueError, IndexError):
        return None


def read_machine(proc: Path = PROC) -> MachineCpu:
    """Raises OSError where there is no /proc."""
    fields = (proc / "stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(value) for value in fields[1:9])
    ticks = os.sysconf("SC_CLK_TCK")
    return MachineCpu((user + nice + system + irq + softirq) / ticks, steal / ticks)


def find_listener(port: int, proc: Path = PROC) -> int | None:
    """The process that listens on a local TCP port; of workers that share it, the one that started them."""
    sockets = _listening_sockets(port, proc)
    table = read_processes(proc)
    holders = {pid for pid in table if sockets & _sockets_of(proc / str(pid))}
    roots = [pid for pid in holders if table[pid].parent not in holders]
    return min(roots, default=None)


def _listening_sockets(port: int, proc: Path) -> set[str]:
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        rows = [line.split() for line in lines]
        found |= {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENING and row[1].endswith(f":{port:04X}")}
    return found


def _sockets_of(process: Path) -> set[str]:
    """Its open files as `/proc` names them; empty when it may not be looked into. Some close while we look."""
    found = set()
    try:
        for entry in (process / "fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(os.readlink(entry))
    except OSError:
        return found
    return found
