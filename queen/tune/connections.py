"""How many connections: the sum over Queen's instances, what stands before them, and other programs. Pure."""

from __future__ import annotations

from typing import Final

from queen.errors import TuneRefused
from queen.tune.inputs import Inputs
from queen.tune.known import line
from queen.tune.lines import Line, Note

EXTRA: Final = 2
"""Of an instance beside its pool: the session that listens, and one for a command such as `queen db migrate`."""

RESERVED: Final = 3
SPARE: Final = 1.2
LEAST: Final = 50
MOST: Final = 5000
"""More sessions than this want a pooler, whatever the memory."""


def connections_needed(inputs: Inputs) -> int:
    """Connections of everybody at the peak. Those that listen go around a pooler."""
    return inputs.sessions + inputs.instances * EXTRA + inputs.other_connections + RESERVED


def connection_lines(inputs: Inputs) -> list[Line]:
    """Raises TuneRefused for more connections than a server should have."""
    needed = connections_needed(inputs)
    wanted = max(LEAST, -(-int(needed * SPARE) // 10) * 10)
    of_primary, now = inputs.primary_connections or 0, inputs.connections_now or 0
    allowed = max(wanted, of_primary, now)
    if wanted > MOST:
        raise TuneRefused(
            f"{needed} connections are needed and {MOST} is the most that this tuner allows",
            hint="put a pooler in between (queen tune-pg --pgbouncer), or give the instances smaller pools",
        )
    through = f"{inputs.instances} × pool of {inputs.pool_size}"
    if inputs.pooled_connections is not None:
        through = f"{inputs.sessions} through the pooler"
    formula = (
        f"({through} + {inputs.instances} × {EXTRA} to listen and to command + {inputs.other_connections} others"
        f" + {RESERVED} reserved) × 1.2, at least {LEAST}"
    )
    if of_primary:
        formula += f", at least {of_primary} as on the primary"
    if now > wanted:
        formula += f", not less than the {now} of now: others may count on them"
    reason = "pools of all Queen instances, their listeners, and room for people"
    way_in = "an administrator still gets in when all others are taken"
    return [
        line(inputs, "max_connections", str(allowed), reason, formula),
        line(inputs, "superuser_reserved_connections", str(RESERVED), way_in, "fixed"),
    ]


def connection_notes(inputs: Inputs) -> list[Note]:
    """What Queen's own pools should be."""
    low, high = 2 * inputs.cpus, 4 * inputs.cpus
    pools = inputs.instances * inputs.pool_size
    if inputs.origin("pool_size") == "reduced to fit the memory":
        text = f"run Queen with DB_POOL_SIZE={inputs.pool_size}: a larger pool does not fit into this memory"
        return [Note("DB_POOL_SIZE", text)]
    if pools > max(high, 16):
        text = (
            f"{pools} connections for {inputs.cpus} processors: {low} to {high} over all instances mostly do as much; "
            "more add waiting, not rate"
        )
        return [Note("DB_POOL_SIZE", text)]
    return []
