"""The settings of the server that a plan may hold: heading, base unit, from which version, what makes it take effect.

Only what stands here can become a `Line`, so no plan holds a setting that its version does not know, or one that
durability rests on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from queen.errors import TuneInputError, TuneRefused
from queen.tune.inputs import VERSION_MIN, Inputs
from queen.tune.lines import Line, Needs

CONNECTIONS: Final = "Connections"
MEMORY: Final = "Memory"
WRITING: Final = "Write-ahead log and checkpoints"
VACUUM: Final = "Vacuum"
PLANNER: Final = "Disk and planner"
SIGHT: Final = "What the server tells"
GROUPS: Final = (CONNECTIONS, MEMORY, WRITING, VACUUM, PLANNER, SIGHT)


@dataclass(frozen=True, slots=True)
class Known:
    """What is fixed about a setting. `unit` as in pg_settings; `reload_since`: the version that made it reloadable."""

    group: str
    needs: Needs
    unit: str | None = None
    since: int = VERSION_MIN
    reload_since: int | None = None


KNOWN: Final[dict[str, Known]] = {
    "max_connections": Known(CONNECTIONS, "restart"),
    "superuser_reserved_connections": Known(CONNECTIONS, "restart"),
    "shared_buffers": Known(MEMORY, "restart", "8kB"),
    "huge_pages": Known(MEMORY, "restart"),
    "effective_cache_size": Known(MEMORY, "reload", "8kB"),
    "work_mem": Known(MEMORY, "reload", "kB"),
    "maintenance_work_mem": Known(MEMORY, "reload", "kB"),
    "autovacuum_work_mem": Known(MEMORY, "reload", "kB"),
    "wal_buffers": Known(WRITING, "restart", "8kB"),
    "checkpoint_timeout": Known(WRITING, "reload", "s"),
    "checkpoint_completion_target": Known(WRITING, "reload"),
    "max_wal_size": Known(WRITING, "reload", "MB"),
    "min_wal_size": Known(WRITING, "reload", "MB"),
    "wal_compression": Known(WRITING, "reload"),
    "max_slot_wal_keep_size": Known(WRITING, "reload", "MB"),
    "idle_replication_slot_timeout": Known(WRITING, "reload", "s", since=18),
    "autovacuum_naptime": Known(VACUUM, "reload", "s"),
    "autovacuum_max_workers": Known(VACUUM, "restart", reload_since=18),
    "autovacuum_worker_slots": Known(VACUUM, "restart", since=18),
    "autovacuum_vacuum_cost_limit": Known(VACUUM, "reload"),
    "autovacuum_vacuum_cost_delay": Known(VACUUM, "reload", "ms"),
    "random_page_cost": Known(PLANNER, "reload"),
    "effective_io_concurrency": Known(PLANNER, "reload"),
    "io_workers": Known(PLANNER, "reload", since=18),
    "jit": Known(PLANNER, "reload"),
    "default_toast_compression": Known(PLANNER, "reload"),
    "track_io_timing": Known(SIGHT, "reload"),
    "track_wal_io_timing": Known(SIGHT, "reload"),
    "shared_preload_libraries": Known(SIGHT, "restart"),
    "log_checkpoints": Known(SIGHT, "reload"),
    "log_lock_waits": Known(SIGHT, "reload"),
    "log_autovacuum_min_duration": Known(SIGHT, "reload", "ms"),
}


def known_to(name: str, version: int) -> bool:
    """Whether this is a setting of ours that the major version has."""
    return name in KNOWN and version >= KNOWN[name].since


def needs(name: str, version: int) -> Needs:
    """What makes a server of this version take the setting."""
    known = KNOWN[name]
    reloads = known.reload_since is not None and version >= known.reload_since
    return "reload" if reloads else known.needs


def line(inputs: Inputs, name: str, value: str, reason: str, formula: str) -> Line:
    """One line of a plan. Raises TuneRefused for a setting that the version does not have."""
    if not known_to(name, inputs.pg_version):
        raise TuneRefused(
            f"PostgreSQL {inputs.pg_version} has no setting {name} that a plan may hold",
            hint="name the version that runs: --pg-version",
        )
    return Line(name, value, KNOWN[name].group, reason, formula, needs(name, inputs.pg_version))


def check_name(name: str) -> None:
    """Raises TuneInputError for a name that no plan can hold, naming near ones."""
    if name in KNOWN:
        return
    import difflib

    near = difflib.get_close_matches(name, KNOWN, n=3)
    raise TuneInputError(
        f"queen tune-pg sets nothing called {name}",
        hint=f"did you mean {', '.join(near)}?" if near else "queen tune-pg without options prints all it sets",
    )
