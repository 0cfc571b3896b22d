"""What a fault can lay hands on. The run provides it; tests have one that only writes down what was done to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from queen.bench.orders import Order

StopMode = Literal["fast", "immediate"]

Marks = dict[str, float]
"""What a fault tells of itself: `begin_s` and `end_s` on the arena's clock, and counts by name."""


class ArenaServer(Protocol):
    """One `queen serve` that the bench started."""

    @property
    def url(self) -> str: ...

    async def kill(self) -> None:
        """SIGKILL; returns when the process has ended."""

    async def terminate(self) -> int:
        """SIGTERM; returns the exit code when the process has ended."""

    async def restart(self) -> None:
        """Starts it again on the same port and data; returns when it is ready. Harmless when it runs."""


class ArenaDatabase(Protocol):
    """The PostgreSQL below the servers."""

    @property
    def dsn(self) -> str: ...

    @property
    def schema(self) -> str: ...

    async def restart(self, mode: StopMode) -> None:
        """Stops it in this way and starts it again; returns when it answers."""


class Arena(Protocol):
    """A run under way."""

    @property
    def servers(self) -> Sequence[ArenaServer]: ...

    @property
    def database(self) -> ArenaDatabase | None: ...

    @property
    def workers(self) -> int:
        """Worker processes of the bench."""

    def now_s(self) -> float:
        """Seconds since measuring began."""

    async def sleep(self, seconds: float) -> None: ...

    async def send(self, order: Order, worker: int | None = None) -> None:
        """To one worker; None: to all."""


def database_of(arena: Arena) -> ArenaDatabase:
    """The database, which `chaos.check_allowed` has made sure of."""
    if arena.database is None:
        raise LookupError("this fault needs the database")
    return arena.database
