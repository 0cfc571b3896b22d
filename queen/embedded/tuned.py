"""The first `queen.conf` of a private PostgreSQL: the baseline, with what `queen.tune` makes of this machine put in.

The machine is not its own: Queen, and whatever else its user runs, live beside it. So it takes at most what a machine
of 4 GiB would give it, whatever there is. For more, `queen tune-pg --apply` is asked by somebody who knows the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from queen.embedded import conf
from queen.errors import TuneInputError, TuneRefused
from queen.tune import machine
from queen.tune.flow.conf_file import Setting, merged
from queen.tune.inputs import GIB, WORKER_BYTES, Inputs
from queen.tune.lines import Line
from queen.tune.plan import make_plan
from queen.tune.sizes import number_of, rounded

MEMORY_MAX: Final = 4 * GIB
"""Gives 1 GiB of shared buffers: a default for a queue's tail and a laptop beside it."""

RECOVERY_S: Final = 30
"""Half of the default of embedded.start_timeout_ms: after a crash it must answer within that."""

_HEAD: Final = "# Fitted to this machine when it was made: for {} of memory, processors: {}, storage: {}.\n"

_KEPT: Final = frozenset({"max_connections", "superuser_reserved_connections", "work_mem"})
"""The pools of those who will share it are not known when it is made; and a plan gives work_mem to the role, which
is left alone here."""

_AT_MOST: Final = {"max_wal_size": "2GB", "min_wal_size": "1GB"}
"""Of the baseline. Less where the disk is small, and not more: what recovery replays must fit into its time."""


def first_configuration(data: Path, major: int) -> str:
    """The text of `queen.conf`. The baseline alone where the machine cannot be measured, or is too small for a plan."""
    inputs = _inputs(data, major)
    if inputs is None:
        return conf.baseline()
    try:
        plan = make_plan(inputs)
    except (TuneInputError, TuneRefused):
        return conf.baseline()
    lines = [line for line in plan.lines if line.name not in _KEPT and not _too_much(line)]
    text = merged(conf.baseline(), [Setting(line.name, line.value, line.reason) for line in lines])
    return _HEAD.format(rounded(inputs.memory_bytes), inputs.cpus, inputs.storage) + text


def _inputs(data: Path, major: int) -> Inputs | None:
    """This machine, and the load of a first try."""
    memory, cpus = machine.memory(), machine.processors()
    if memory is None or cpus is None:
        return None
    disk = machine.disk(data)
    return Inputs(
        memory_bytes=min(MEMORY_MAX, memory.value - WORKER_BYTES),
        cpus=cpus.value,
        storage=disk.storage if disk is not None else "ssd",
        pg_version=major,
        wal_space_bytes=machine.wal_space(data),
        recovery_s=RECOVERY_S,
        clock_source=machine.clock(),
    )


def _too_much(line: Line) -> bool:
    most = number_of(_AT_MOST.get(line.name, ""), "MB")
    value = number_of(line.value, "MB")
    return most is not None and value is not None and value > most
