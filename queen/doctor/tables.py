"""What the doctor knows of Queen's tables: which of them change all the time, and how their storage options read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from queen.doctor.finding import Fix

MUTABLE: Final = ("partitions", "cursors", "leases", "instances", "leader")
"""Tables of few rows that are updated all the time (architecture.md §3). All others grow, or change rarely."""


def options(reloptions: Sequence[str] | None) -> dict[str, str]:
    """pg_class.reloptions as names and values."""
    return dict(option.split("=", 1) for option in reloptions or ())


def set_options(table: str, reloptions: Sequence[str] | None, wanted: Mapping[str, str], note: str = "") -> Fix:
    """A fix of class A that sets storage options of a table, with the way back to those it has now."""
    now = options(reloptions)
    old = {name: now[name] for name in wanted if name in now}
    new = [name for name in wanted if name not in now]
    undo = []
    if old:
        undo.append(f"ALTER TABLE {table} SET ({_listed(old)})")
    if new:
        undo.append(f"ALTER TABLE {table} RESET ({', '.join(new)})")
    return Fix("A", (f"ALTER TABLE {table} SET ({_listed(wanted)})",), tuple(undo), note)


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())
