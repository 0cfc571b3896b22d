"""The machine that PostgreSQL runs on, when it is this one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from queen.doctor.facts import Facts
from queen.doctor.probes import disk, memory
from queen.measure.processes import look_at_machine


@dataclass(frozen=True, slots=True)
class Host:
    """Running totals at `at` (monotonic seconds). The disks are None where our user may not look, or where the role
    may not know the data directory."""

    at: float
    busy_s: float
    steal_s: float
    memory: memory.MachineMemory | None = None
    data_disk: disk.Disk | None = None
    wal_disk: disk.Disk | None = None


def look(facts: Facts) -> Host | None:
    """This machine; None where it cannot be read."""
    machine = look_at_machine()
    if machine is None:
        return None
    folder = facts.settings.text("data_directory")
    return Host(
        time.monotonic(),
        machine.busy_s,
        machine.steal_s,
        memory.look(facts.postmaster_pid) if facts.postmaster_pid else None,
        disk.look(folder) if folder else None,
        disk.look(f"{folder}/pg_wal") if folder else None,
    )
