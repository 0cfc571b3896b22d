"""Autovacuum: small tables that change all the time want it often and unhindered. Pure; tables.py has their part."""

from __future__ import annotations

from queen.tune.inputs import Inputs
from queen.tune.known import line
from queen.tune.lines import Line
from queen.tune.memory import Memory


def vacuum_lines(inputs: Inputs, memory: Memory) -> list[Line]:
    """How often, how many at once, and how fast."""
    workers = memory.workers
    entries = [
        (
            "autovacuum_naptime",
            "10s",
            "cursors gather dead rows within seconds; a minute is too long",
            "fixed",
        ),
        (
            "autovacuum_max_workers",
            str(workers),
            "a hot table need not wait behind a large one",
            f"3 + one for each 8 of {inputs.cpus} processors, at most 8",
        ),
        (
            "autovacuum_vacuum_cost_limit",
            "2000",
            "all workers share it: the default of 200 cannot keep up",
            "fixed",
        ),
        ("autovacuum_vacuum_cost_delay", "2ms", "the pause after that much work", "fixed"),
    ]
    if inputs.pg_version >= 18:
        entries.insert(
            2, ("autovacuum_worker_slots", "16", "room for more workers without a restart", "fixed, from 18 on")
        )
    return [line(inputs, *entry) for entry in entries]
