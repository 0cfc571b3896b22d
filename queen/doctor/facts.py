"""What is known about the database before any check: version, rights, schema, settings, place. Gathered once a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from queen.doctor.other_role import OVERRIDES, settings_of
from queen.errors import CannotLook
from queen.measure.locality import postmaster_here
from queen.store.inspect import Inspector, Row

_UNITS: Final = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 1 << 20, "16MB": 16 << 20, "GB": 1 << 30, "TB": 1 << 40}
_TIMES: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_FACTS = """
SELECT current_database() AS database, current_user AS role, pg_backend_pid() AS backend_pid,
       pg_postmaster_start_time() AS started_at, clock_timestamp() AS now, pg_is_in_recovery() AS in_recovery,
       current_setting('server_version') AS version_text,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       pg_has_role(current_user, 'pg_monitor', 'member') AS pg_monitor,
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS stats_reset
"""
# The catalog is asked and not the schema itself: a name that is not there, or not ours to use, must be no error. The
# children of `messages` are read through their parent, so rights on them do not matter.
_SCHEMA = """
SELECT pg_get_userbyid(n.nspowner) AS owner, pg_has_role(current_user, n.nspowner, 'member') AS owned,
       has_schema_privilege(n.oid, 'usage') AS usable,
       NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
                      AND NOT c.relispartition AND NOT has_table_privilege(c.oid, 'select')) AS readable,
       EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'messages') AS complete
  FROM pg_namespace n WHERE n.nspname = %s
"""
_SETTINGS = """
SELECT name, setting, unit, vartype, context, source, sourcefile, boot_val, reset_val, min_val, max_val, enumvals,
       pending_restart
  FROM pg_settings
"""
_EXTENSIONS = "SELECT extname FROM pg_extension"
_ALTER_SYSTEM = "SELECT has_parameter_privilege(current_user, 'max_wal_size', 'alter system') AS allowed"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of pg_settings."""

    name: str
    value: str
    unit: str | None
    vartype: str
    context: str
    source: str
    sourcefile: str | None
    boot_value: str | None
    enumvals: tuple[str, ...]
    pending_restart: bool


class ServerSettings(Mapping[str, Setting]):
    """All settings of the server by name."""

    def __init__(self, rows: list[Row]) -> None:
        self._by_name = {row["name"]: _setting(row) for row in rows}

    def __getitem__(self, name: str) -> Setting:
        return self._by_name[name]

    def __iter__(self) -> Any:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def text(self, name: str, default: str = "") -> str:
        """The value as PostgreSQL keeps it; `default` for a setting that this version does not have."""
        found = self._by_name.get(name)
        return found.value if found else default

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.text(name) == "on"

    def number(self, name: str, default: float = 0.0) -> float:
        """The value in the setting's own unit."""
        found = self._by_name.get(name)
        return float(found.value) if found else default

    def bytes(self, name: str, default: float = 0.0) -> float:
        """The value of a size, in bytes."""
        found = self._by_name.get(name)
        return float(found.value) * _UNITS.get(found.unit or "B", 1) if found else default

    def seconds(self, name: str, default: float = 0.0) -> float:
        """The value of a duration, in seconds."""
        found = self._by_name.get(name)
        return float(found.value) * _TIMES.get(found.unit or "s", 1.0) if found else default


@dataclass(frozen=True, slots=True)
class Facts:
    """About one database. `schema_complete`: Queen's tables are there, and the role may use their schema (else
    `schema_usable` is False); `schema_readable`: it may read all of them. `postmaster_pid`: PostgreSQL runs on this
    machine, proven; None elsewhere. `stats_age_s`: how long the cumulative counters have been counting."""

    version: int
    version_text: str
    database: str
    role: str
    schema: str
    superuser: bool
    pg_monitor: bool
    may_alter_system: bool
    schema_owner: str | None
    schema_owned: bool
    schema_complete: bool
    schema_readable: bool
    in_recovery: bool
    backend_pid: int
    protocol_pid: int
    postmaster_pid: int | None
    started_at: datetime
    stats_reset: datetime | None
    stats_age_s: float
    host: str
    extensions: frozenset[str]
    settings: ServerSettings = field(repr=False)
    dsn: Mapping[str, str] = field(default_factory=dict)
    """What our own connection asked of libpq beyond its defaults, without a password."""
    schema_usable: bool = True

    @property
    def local(self) -> bool:
        """Whether files and /proc of this machine are those of PostgreSQL."""
        return self.postmaster_pid is not None

    @property
    def servers_role(self) -> str:
        """Whom Queen's servers connect as: the owner of the schema, as a rule. `settings` are those of its sessions."""
        return self.schema_owner or self.role

    @property
    def major(self) -> int:
        return self.version // 10_000


def gather(inspector: Inspector) -> Facts:
    """Ask the database about itself: five or six small statements. Raises CannotLook, StoreUnavailable."""
    row = inspector.row(_FACTS)
    schema = inspector.row(_SCHEMA, [inspector.schema])
    began = max(row["started_at"], row["stats_reset"] or row["started_at"])
    return Facts(
        version=inspector.version,
        version_text=row["version_text"].split(" ")[0],
        database=row["database"],
        role=row["role"],
        schema=inspector.schema,
        superuser=bool(row["superuser"]),
        pg_monitor=bool(row["superuser"] or row["pg_monitor"]),
        may_alter_system=bool(row["superuser"]) or _may_alter_system(inspector),
        schema_owner=schema.get("owner"),
        schema_owned=bool(row["superuser"] or schema.get("owned")),
        schema_complete=bool(schema.get("complete") and schema.get("usable")),
        schema_readable=bool(schema.get("readable") and schema.get("usable")),
        in_recovery=row["in_recovery"],
        backend_pid=row["backend_pid"],
        protocol_pid=inspector.protocol_pid,
        postmaster_pid=postmaster_here(inspector.host, row["backend_pid"]),
        started_at=row["started_at"],
        stats_reset=row["stats_reset"],
        stats_age_s=(row["now"] - began).total_seconds(),
        host=inspector.host,
        extensions=frozenset(found["extname"] for found in inspector.rows(_EXTENSIONS)),
        settings=ServerSettings(_settings(inspector, row["role"], schema.get("owner"))),
        dsn=inspector.parameters,
        schema_usable=bool(schema.get("usable", True)),
    )


def _settings(inspector: Inspector, role: str, owner: str | None) -> list[Row]:
    """Those that sessions of the servers have, whoever we are."""
    rows = inspector.rows(_SETTINGS)
    if owner in (None, role):
        return rows
    return settings_of(rows, inspector.rows(OVERRIDES, [owner]))


def _may_alter_system(inspector: Inspector) -> bool:
    """Before 15 only a superuser could; the question itself is not known there."""
    if inspector.version < 150000:
        return False
    try:
        return bool(inspector.row(_ALTER_SYSTEM).get("allowed"))
    except CannotLook:
        return False


def _setting(row: Row) -> Setting:
    return Setting(
        row["name"],
        row["setting"] or "",
        row["unit"],
        row["vartype"],
        row["context"],
        row["source"],
        row["sourcefile"],
        row["boot_val"],
        tuple(row["enumvals"] or ()),
        bool(row["pending_restart"]),
    )
