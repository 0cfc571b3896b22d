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
    if not (proc / "stat").exists():
        return {}
    found = (read_process(int(name), proc) for name in os.listdir(proc) if name.isdigit())
    return {process.pid: process for process in found if process is not None}


def read_process(pid: int, proc: Path = PROC) -> Process | None:
    """One process; None when it is gone."""
    try:
        with open(f"{proc}/{pid}/stat", errors="replace") as file:
            return parse_stat(file.read(), os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError):
        return None


def read_tree(root: int, proc: Path = PROC) -> list[Process]:
    """As `tree` of the whole table. Where the kernel names the children of a process, others are not looked at."""
    found, todo = [], [root]
    while todo:
        process = read_process(todo.pop(), proc)
        if process is None:
            continue
        children = _children(process.pid, proc)
        if children is None:
            return tree(read_processes(proc), root)
        found.append(process)
        todo += children
    return found


def _children(pid: int, proc: Path) -> list[int] | None:
    """Those of all its threads; None where the kernel does not tell."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"{proc}/{pid}/task"):
            with open(f"{proc}/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    except OSError:
        return None
    return found


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


def own_cpu_s(pid: int, proc: Path = PROC) -> float | None:
    """Processor time of one process with one thread, such as a backend of PostgreSQL; None when it is gone. To the
    microsecond where the kernel keeps it so, else to the hundredth."""
    try:
        with open(f"{proc}/{pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        process = read_process(pid, proc)
        return None if process is None else process.own_s


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
    """The process that listens on a local TCP port; of workers that share it, the one that started them. Looks through
    the open files of all processes, which takes some milliseconds."""
    sockets = _listening_sockets(port, proc)
    if not sockets:
        return None
    table = read_processes(proc)
    holders = {pid for pid in table if sockets & _open_files(f"{proc}/{pid}/fd")}
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


def _open_files(folder: str) -> set[str]:
    """The open files of a process as `/proc` names them; empty when it may not be looked into. Some close meanwhile."""
    found = set()
    try:
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                found.add(os.readlink(f"{folder}/{name}"))
    except OSError:
        return found
    return found
