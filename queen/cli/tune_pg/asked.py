"""What the user of `queen tune-pg` named by options. None: measured, asked from the server, or a default."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path


class Format(enum.StrEnum):
    """The form of the output."""

    conf = "conf"
    alter_system = "alter-system"
    parameter_group = "parameter-group"
    json = "json"


class Profile(enum.StrEnum):
    """A plan that is not computed."""

    baseline = "baseline"


class StorageKind(enum.StrEnum):
    """What the data lies on."""

    ssd = "ssd"
    nvme = "nvme"
    hdd = "hdd"
    network = "network"


@dataclass(frozen=True, slots=True)
class Asked:
    """The options about machine and load."""

    memory: int | None = None
    cpus: int | None = None
    storage: StorageKind | None = None
    target: float | None = None
    payload: int | None = None
    groups: int | None = None
    pool_size: int | None = None
    instances: int | None = None
    pg_version: int | None = None
    other_connections: int | None = None
    pooler_size: int | None = None
    recovery_ms: int | None = None
    measure_disk: bool = False
    pgbouncer: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """The options about what is printed, and where it goes."""

    form: Format
    file: Path | None = None
    explain: str | None = None
    pgbouncer: bool = False
