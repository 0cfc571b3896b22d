"""The kinds of faults: what each is, what it needs and whom it could harm. A table; it does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """What there is to know of one kind of fault before it is done."""

    name: str
    about: str
    length_s: float = 0.0
    """When the text gives none. `stall-consumer` adds the time of a lease."""
    strength: int | None = None
    """What `xN` is without it; None: the fault takes no `xN`."""
    strength_means: str = ""
    harms_server: bool = False
    """Ends a server: only done to one that the bench started."""
    harms_database: bool = False
    """Ends or takes sessions of others: only done to a database that is the bench's own, or with consent."""
    restarts_database: bool = False
    """Needs the hand on the PostgreSQL process itself; consent does not help."""
    needs_database: bool = False
    apart_from: frozenset[str] = frozenset()
    """Kinds that it must not overlap with, itself included where two at once make no sense."""


_SERVER: Final = frozenset({"kill-server", "drain-server"})
_SESSIONS: Final = frozenset({"terminate-backends", "exhaust-pool", "pin-xmin", "readers"})

KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            "kill-server",
            "SIGKILL one server; it is started again after LENGTH",
            harms_server=True,
            apart_from=_SERVER | {"restart-pg", "exhaust-pool"},
        ),
        Kind(
            "drain-server",
            "SIGTERM one server, wait until it has ended; it is started again after LENGTH",
            harms_server=True,
            apart_from=_SERVER | {"restart-pg", "exhaust-pool"},
        ),
        Kind(
            "restart-pg",
            "stop PostgreSQL fast and start it, half-way through LENGTH stop it at once and start it",
            length_s=10,
            restarts_database=True,
            needs_database=True,
            apart_from=_SERVER | _SESSIONS | {"restart-pg"},
        ),
        Kind(
            "terminate-backends",
            "end N database sessions of Queen each second",
            length_s=10,
            strength=2,
            strength_means="sessions a second",
            harms_database=True,
            needs_database=True,
            apart_from=frozenset({"restart-pg", "terminate-backends", "exhaust-pool"}),
        ),
        Kind(
            "exhaust-pool",
            "hold N sessions; without N all that are left, and then the places of half of Queen's own",
            length_s=10,
            strength=0,
            strength_means="sessions held",
            harms_database=True,
            needs_database=True,
            apart_from=_SERVER | _SESSIONS | {"restart-pg"},
        ),
        Kind(
            "pin-xmin",
            "keep a transaction open that has an id, so that no dead row can be removed",
            length_s=60,
            harms_database=True,
            needs_database=True,
            apart_from=frozenset({"pin-xmin", "restart-pg", "exhaust-pool"}),
        ),
        Kind(
            "readers",
            "N repeating scans of all messages in REPEATABLE READ",
            length_s=30,
            strength=4,
            strength_means="readers",
            harms_database=True,
            needs_database=True,
            apart_from=frozenset({"readers", "restart-pg", "exhaust-pool"}),
        ),
        Kind(
            "stall-consumer",
            "N consumers hold a batch past its lease; the late acks must be refused",
            strength=1,
            strength_means="consumers",
            apart_from=frozenset({"stall-consumer"}),
        ),
    )
}

NOT_BUILT: Final = {
    "slow-disk": "a throttled device needs rights over the machine's block devices",
    "latency": "added network delay needs rights over the machine's network",
    "power-cut": "dropping what was not synced needs a virtual machine or a layer below the file system",
    "clock-step": "one server's clock cannot be moved without moving that of the whole machine",
}
"""Faults of the method that this bench cannot do, each with the reason."""
