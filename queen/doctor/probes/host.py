"""The machine that PostgreSQL runs on, when it is this one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from queen.measure.processes import look_at_machine


@dataclass(frozen=True, slots=True)
class Host:
    """Running totals at `at` (monotonic seconds)."""

    at: float
    busy_s: float
    steal_s: float


def look() -> Host | None:
    """This machine; None where it cannot be read."""
    machine = look_at_machine()
    return None if machine is None else Host(time.monotonic(), machine.busy_s, machine.steal_s)
