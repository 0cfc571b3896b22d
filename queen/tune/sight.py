"""What the server should count and log, so that `queen doctor` and people see what is wrong. Pure."""

from __future__ import annotations

from typing import Final

from queen.tune.inputs import Inputs
from queen.tune.known import line
from queen.tune.lines import Line, Note

FAST_CLOCKS: Final = frozenset({"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"})
"""Clocks that a program reads without entering the kernel, in tens of nanoseconds."""

_STATEMENTS: Final = "pg_stat_statements"


def sight_lines(inputs: Inputs) -> list[Line]:
    """Counters and log lines."""
    entries = []
    if _clock_is_fast(inputs):
        formula = _clock_words(inputs)
        entries += [
            ("track_io_timing", "on", "queen doctor tells a slow disk from a slow query", formula),
            ("track_wal_io_timing", "on", "queen doctor tells what a commit waits for", formula),
        ]
    if inputs.preloaded is not None and _STATEMENTS in inputs.libraries and _STATEMENTS not in inputs.preloaded:
        together = dict.fromkeys([*inputs.preloaded, _STATEMENTS])
        reason = "queen doctor sees which statement takes the time"
        entries.append(("shared_preload_libraries", ", ".join(together), reason, "what is loaded now, and it"))
    entries += [
        ("log_checkpoints", "on", "a checkpoint that comes too early is seen in the log", "fixed"),
        ("log_lock_waits", "on", "who waits for a lock for over a second is seen in the log", "fixed"),
        ("log_autovacuum_min_duration", "10s", "a vacuum that takes long is seen in the log", "fixed"),
    ]
    return [line(inputs, *entry) for entry in entries]


def sight_notes(inputs: Inputs) -> list[Note]:
    """What could not be switched on."""
    notes = []
    if not _clock_is_fast(inputs):
        text = f"left as they are: the clock {inputs.clock_source} is slow to read"
        notes.append(Note("track_io_timing, track_wal_io_timing", text))
    if not {_STATEMENTS} & {*inputs.libraries, *(inputs.preloaded or ())} or inputs.preloaded is None:
        text = (
            "not added: it is not known that this server has the module, and one that is missing would keep it from "
            "starting. Where it is installed: shared_preload_libraries = 'pg_stat_statements'"
        )
        notes.append(Note(_STATEMENTS, text))
    return notes


def _clock_is_fast(inputs: Inputs) -> bool:
    """Unless a slow clock was seen: servers of the last ten years have a fast one."""
    return inputs.clock_source is None or inputs.clock_source in FAST_CLOCKS


def _clock_words(inputs: Inputs) -> str:
    if inputs.clock_source is None:
        return "on, unless the clock is known to be slow; it was not seen"
    return f"on where the clock is read without the kernel: {inputs.clock_source}"
