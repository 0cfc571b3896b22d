"""What a plan is computed from: the machine, the load, and what is known of the server. Each value tells its origin.

Data only. `queen.tune.machine` measures, the command line asks, and the formulas read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

Storage = Literal["ssd", "nvme", "hdd", "network"]

STORAGES: Final[tuple[str, ...]] = get_args(Storage)
VERSION_MIN: Final = 14
VERSION_MAX: Final = 18
"""The newest major whose settings are known; a later one gets what is known of this one."""

MIB: Final = 1 << 20
GIB: Final = 1 << 30
RATE: Final = 1000.0
"""Messages a second to plan for when nobody says more."""

WORKER_BYTES: Final = 100 * MIB
"""What one process of `queen serve` takes beside PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """One machine and one load. Sizes in bytes, rates in messages a second, times in the unit of the name."""

    memory_bytes: int
    """Memory of the machine or container that PostgreSQL runs in."""
    cpus: int
    storage: Storage = "ssd"
    target_rate: float = RATE
    payload_bytes: int = 1024
    groups: int = 1
    """Consumer groups that read each message."""
    pool_size: int = 16
    """Connections of one Queen instance."""
    instances: int = 1
    pg_version: int = 15
    """The major version."""
    workers_here: int = 0
    """Processes of `queen serve` in the same memory as PostgreSQL."""
    other_connections: int = 20
    """Of other programs and of people."""
    pooled_connections: int | None = None
    """The server side of a pooler between Queen and PostgreSQL; None: there is none."""
    wal_space_bytes: int | None = None
    """Free space where the write-ahead log lies, with what the log holds already; None: not known."""
    wal_rate_observed: float | None = None
    """WAL bytes a second that the server wrote; None: not observed, so computed from the load."""
    fpi_share: float | None = None
    """Share of the WAL that was images of whole pages, 0 to 1, counted as whole pages; None: not observed."""
    recovery_s: int = 300
    """Longest time that recovery after a crash may take."""
    clock_source: str | None = None
    """The kernel's clock on the server's machine, such as tsc; None: not seen."""
    commit_ms: float | None = None
    """Median of writing 8 kB and making them safe, on the disk of the data; None: not measured."""
    enumvals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What this build offers for settings with a list of words; empty: no server was asked."""
    libraries: tuple[str, ...] = ()
    """Loadable modules that the server surely has, such as pg_stat_statements."""
    preloaded: tuple[str, ...] | None = None
    """What the server preloads now; None: not known, so that nothing can be added to it."""
    primary_connections: int | None = None
    """max_connections of the primary when the plan is for its standby; a standby with less does not start."""
    available_bytes: int | None = None
    """Memory that nobody uses now, with what this server has already; None: not known, or not to be asked."""
    connections_now: int | None = None
    """max_connections of the server as it runs; other programs may count on them. None: not known."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """By field name: "flag", "measured here", "settings", "server" …; what is missing is a default."""

    def origin(self, name: str) -> str:
        """Where a value came from."""
        return self.origins.get(name, "default")

    @property
    def usable_bytes(self) -> int:
        """What PostgreSQL and its cache may count on: the memory without Queen's own processes."""
        return self.memory_bytes - self.workers_here * WORKER_BYTES

    @property
    def sessions(self) -> int:
        """Sessions of Queen that may be active at once: its pools, or what a pooler lets through."""
        pools = self.instances * self.pool_size
        return pools if self.pooled_connections is None else min(pools, self.pooled_connections)

    def offers(self, setting: str, word: str) -> bool:
        """Whether the server is known to take this word for this setting."""
        return word in self.enumvals.get(setting, ())

    def replace(self, origin: str, **values: object) -> Inputs:
        """The same with other values, all of this origin."""
        origins = {**self.origins, **dict.fromkeys(values, origin)}
        return dataclasses.replace(self, **values, origins=origins)  # type: ignore[arg-type]
