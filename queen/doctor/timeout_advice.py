"""What to do about requests that got no connection in time: a command that helps, or why more would be worse. Pure.

By Little's law calls a second times the time each holds a connection is what is in use on average. A pool that is much
larger than that and yet ran dry did so because something held connections for long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from queen.store.budget import Budget, remedy

BUSY: Final = 0.9
"""Of the processors of the database's machine: above it, more sessions share the same work."""
_EMPTY_SHARE: Final = 0.5
_TIMEOUT_MS_MAX: Final = 60_000


@dataclass(frozen=True, slots=True)
class Load:
    """How the pools of an instance were used since its start. `busy`: share of the processors of the database's machine
    in the window, None when that is another machine. `slow_calls`: those that held a connection for a second or more.
    """

    pool_size: int
    timeout_ms: int
    waiting: int
    in_use_mean: float
    hold_ms: float
    slow_calls: int
    busy: float | None


@dataclass(frozen=True, slots=True)
class Advice:
    """The remedy, and the command line in it; None where no command helps."""

    text: str
    command: str | None = None


def advise(load: Load, budget: Budget, pooled: bool) -> Advice:
    """What to do. `budget`: the sum of connections; `pooled`: a pooler stands in between, with a pool of its own."""
    if load.busy is not None and load.busy >= BUSY:
        return Advice(
            f"More connections would make it worse: the processors of the database are busy ({100 * load.busy:.0f} %),"
            " so each call would only get slower. Look at S1 and R24 for the dearest statements, and send larger"
            " batches."
        )
    if load.slow_calls and load.in_use_mean < _EMPTY_SHARE * load.pool_size:
        return Advice(
            f"More connections would wait at the same place: on average {load.in_use_mean:.1f} of {load.pool_size} are"
            f" in use (Little's law), but {load.slow_calls} calls held one for a second or more. Find out what they"
            " waited for: locks (L1), slow statements (S1), the disk (W5)."
        )
    if pooled:
        return _longer(load, "The pooler in between has a pool of its own that may be too small: see C5.")
    text = remedy(budget, load.pool_size, load.timeout_ms, load.waiting)
    _, found, command = text.partition("DB_POOL_SIZE=")
    if not found:
        return Advice(text[0].upper() + text[1:] + ".")
    command = f"DB_POOL_SIZE={command}"
    return Advice(
        f"Start it with more connections: {command}. On average {load.in_use_mean:.1f} of {load.pool_size} are in use"
        f" (Little's law), and {budget.granted - budget.others - budget.needed} more fit into max_connections.",
        command,
    )


def _longer(load: Load, text: str) -> Advice:
    command = f"DB_CONNECTION_TIMEOUT={min(_TIMEOUT_MS_MAX, max(10_000, 2 * load.timeout_ms))} queen serve"
    return Advice(f"{text} Until then wait longer: {command}", command)
