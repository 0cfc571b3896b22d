"""The machine that PostgreSQL runs on, when it is this one: processor, limits, and the disk below the data."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from queen.doctor.facts import Facts
from queen.doctor.probes import memory
from queen.doctor.probes.disk import Disk
from queen.doctor.probes.disk import look as look_at_disk
from queen.measure.processes import PROC, cpu_s, find_listener, look_at_machine, read_tree

CGROUPS: Final = Path("/sys/fs/cgroup")
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Throttle:
    """Periods of a processor quota since the control group began, and those in which its processes had to stop."""

    periods: int
    throttled: int


@dataclass(frozen=True, slots=True)
class Host:
    """Running totals at `at` (monotonic seconds). `postgres_s`: processor time of PostgreSQL's processes; None when it
    cannot be read. `nofile`: most open files of Queen's server, None when it does not run here. `throttles`: by part,
    "PostgreSQL" and "queen serve", of those that have a quota. The disks are not there where our user may not look, or
    the role may not know the data directory.
    """

    at: float
    busy_s: float
    steal_s: float
    cpus: int = 1
    postgres_s: float | None = None
    nofile: int | None = None
    throttles: Mapping[str, Throttle] = field(default_factory=dict)
    memory: memory.MachineMemory | None = None
    data_disk: Disk | None = None
    wal_disk: Disk | None = None


def look(facts: Facts, server: int | None = None) -> Host | None:
    """This machine, with the process of a Queen server when that is here; None where it cannot be read."""
    machine = look_at_machine()
    if machine is None:
        return None
    folder = facts.settings.text("data_directory")
    return Host(
        time.monotonic(),
        machine.busy_s,
        machine.steal_s,
        cpus=os.cpu_count() or 1,
        postgres_s=_postgres_s(facts.postmaster_pid),
        nofile=nofile(server) if server is not None else None,
        throttles=_throttles({"PostgreSQL": facts.postmaster_pid, "queen serve": server}),
        memory=memory.look(facts.postmaster_pid) if facts.postmaster_pid else None,
        data_disk=look_at_disk(folder) if folder else None,
        wal_disk=look_at_disk(f"{folder}/pg_wal") if folder else None,
    )


def nofile(pid: int, proc: Path = PROC) -> int | None:
    """The soft limit of open files of a process; None when it cannot be read or there is none."""
    try:
        lines = (proc / str(pid) / "limits").read_text().splitlines()
        soft = next(line.split()[3] for line in lines if line.startswith("Max open files"))
    except (OSError, StopIteration, IndexError):
        return None
    return int(soft) if soft.isdigit() else None


def throttle(pid: int, proc: Path = PROC, cgroups: Path = CGROUPS) -> Throttle | None:
    """What a quota did to the control group of a process, of version 2 or 1; None without a quota."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = cgroups if not controllers else cgroups / "cpu"
        # Inside a container the path is that of the outside; what is mounted is the container's own.
        for place in (folder / path.lstrip("/"), folder):
            found = _cpu_stat(place / "cpu.stat")
            if found is not None and found.periods:
                return found
    return None


def _cpu_stat(path: Path) -> Throttle | None:
    try:
        figures = dict(line.split() for line in path.read_text().splitlines() if len(line.split()) == 2)
        return Throttle(int(figures["nr_periods"]), int(figures["nr_throttled"]))
    except (OSError, KeyError, ValueError):
        return None


def find_server(url: str | None) -> int | None:
    """The process that serves a URL of this machine; None when there is none. It is dear: once in a run is enough."""
    parts = urlsplit(url or "")
    if parts.hostname not in _LOCAL or parts.port is None:
        return None
    return find_listener(parts.port)


def _postgres_s(postmaster_pid: int | None) -> float | None:
    found = read_tree(postmaster_pid) if postmaster_pid is not None else []
    return cpu_s(found) if found else None


def _throttles(pids: Mapping[str, int | None]) -> dict[str, Throttle]:
    found = {part: throttle(pid) for part, pid in pids.items() if pid is not None}
    return {part: one for part, one in found.items() if one is not None}
