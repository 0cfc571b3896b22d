"""What the doctor knows of Queen's tables: which of them change all the time, and how their storage options read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from queen.doctor.finding import Fix
from queen.tune.figures import THRESHOLDS

VACUUM_AT: Final[Mapping[str, int]] = THRESHOLDS
"""Tables whose rows are changed or deleted one by one as long as Queen works, and the dead rows that call a vacuum.
The schema sets the same, and so does tune-pg."""


def options(reloptions: Sequence[str] | None) -> dict[str, str]:
    """pg_class.reloptions as names and values."""
    return dict(option.split("=", 1) for option in reloptions or ())


def wanted_for_vacuum(table: str) -> dict[str, str]:
    """The storage options by which autovacuum comes in time and unhindered to a table of `VACUUM_AT`."""
    return {
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_threshold": str(VACUUM_AT[table]),
        "autovacuum_vacuum_cost_delay": "0",
    }


def is_off(value: str) -> bool:
    """Whether a storage option of type boolean is off, in any of the spellings that PostgreSQL takes."""
    word = value.lower()
    return word == "0" or any(full.startswith(word) for full in ("false", "no", "off"))


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
