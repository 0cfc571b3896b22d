"""Inputs in, plan out: asks each subject for its settings. Pure; the same inputs give the same plan."""

from __future__ import annotations

from queen.errors import TuneInputError, TuneRefused
from queen.tune.connections import connection_lines, connection_notes
from queen.tune.inputs import MIB, STORAGES, VERSION_MAX, VERSION_MIN, Inputs
from queen.tune.known import GROUPS
from queen.tune.lines import Line, Needs, Note, Plan, RoleLine, TableLine
from queen.tune.memory import Memory, divide, memory_lines, memory_notes
from queen.tune.planner import planner_lines, planner_notes
from queen.tune.roles import role_lines
from queen.tune.sight import sight_lines, sight_notes
from queen.tune.sizes import rounded
from queen.tune.tables import table_lines
from queen.tune.vacuum import vacuum_lines
from queen.tune.wal import wal_lines, wal_notes

__all__ = ["Inputs", "Line", "Needs", "Note", "Plan", "RoleLine", "TableLine", "make_plan"]

MEMORY_MIN = 64 * MIB

_COUNTS = ("cpus", "groups", "pool_size", "instances", "recovery_s")


def make_plan(inputs: Inputs) -> Plan:
    """The settings for this machine and load. Raises TuneInputError (cannot be) and TuneRefused (unsafe)."""
    check_inputs(inputs)
    inputs, memory = divide(inputs)
    _check_free(inputs, memory)
    lines = [
        *connection_lines(inputs),
        *memory_lines(inputs, memory),
        *wal_lines(inputs, memory),
        *vacuum_lines(inputs, memory),
        *planner_lines(inputs),
        *sight_lines(inputs),
    ]
    notes = [
        *connection_notes(inputs),
        *memory_notes(memory),
        *wal_notes(inputs),
        *planner_notes(inputs),
        *sight_notes(inputs),
        *_version_notes(inputs),
    ]
    lines.sort(key=lambda line: GROUPS.index(line.group))
    return Plan(inputs, tuple(lines), tuple(table_lines()), tuple(role_lines(inputs, memory)), tuple(notes))


def check_inputs(inputs: Inputs) -> None:
    """Raises TuneInputError for a machine or a load that cannot be."""
    for name in _COUNTS:
        if getattr(inputs, name) < 1:
            raise TuneInputError(f"{name} must be at least 1, not {getattr(inputs, name)}")
    if inputs.target_rate <= 0 or inputs.payload_bytes < 0 or inputs.other_connections < 0:
        raise TuneInputError("a load has a rate above zero, and no number below zero")
    if inputs.pooled_connections is not None and inputs.pooled_connections < 1:
        raise TuneInputError("a pooler needs at least one connection to PostgreSQL")
    if inputs.storage not in STORAGES:
        raise TuneInputError(f"storage is one of {', '.join(STORAGES)}, not {inputs.storage}")
    if inputs.pg_version < VERSION_MIN:
        raise TuneInputError(f"PostgreSQL {inputs.pg_version} is too old: Queen needs {VERSION_MIN} or later")
    if inputs.usable_bytes < MEMORY_MIN:
        here = f", of which {inputs.workers_here} Queen processes take some" if inputs.workers_here else ""
        raise TuneInputError(
            f"{rounded(max(0, inputs.memory_bytes))} of memory{here} is too little for PostgreSQL",
            hint="name what PostgreSQL may have: --memory 4GB",
        )


def _check_free(inputs: Inputs, memory: Memory) -> None:
    """Shared memory that is not there keeps PostgreSQL from starting, or pushes others out."""
    free = inputs.available_bytes
    if free is None or memory.shared_buffers <= free:
        return
    raise TuneRefused(
        f"shared_buffers would be {rounded(memory.shared_buffers)}, and only {rounded(free)} of memory are not in use",
        hint=f"other programs share this machine: name what PostgreSQL may have, such as --memory {2 * free >> 20}MiB",
    )


def _version_notes(inputs: Inputs) -> list[Note]:
    if inputs.pg_version <= VERSION_MAX:
        return []
    text = f"PostgreSQL {inputs.pg_version} is newer than this tuner: it gets what is known of {VERSION_MAX}"
    return [Note("version", text)]
