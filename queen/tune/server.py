"""What a running server tells a plan: version, its settings with their bounds, what it wrote, where it runs.

Reads only, through `queen.store.inspect`. What the session may not see is None, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from queen import sql
from queen.errors import CannotLook
from queen.measure.locality import postmaster_here
from queen.store.inspect import Inspector
from queen.tune.known import KNOWN
from queen.tune.served import Served, served

APPLICATION: Final = "queen-tune-pg"
WINDOW_S_MIN: Final = 60.0
"""Counters younger than this say nothing about a load."""
SHARE_BYTES_MIN: Final = 1 << 30
"""Less log than this says nothing about page images under load: what little goes on is mostly a page's first change."""

_MODULE: Final = "pg_stat_statements"
_ALSO: Final = ("data_directory", "wal_level", "fsync", "full_page_writes", "synchronous_commit")


@dataclass(frozen=True, slots=True)
class LoadSeen:
    """What Queen's own tables tell of the load; zeros where there are none."""

    messages_per_s: float = 0.0
    """In the busiest minute of the last day."""
    instances: int = 0
    """That run now; each worker process is one."""
    pool_size: int = 0
    """Connections of all of them."""


@dataclass(frozen=True, slots=True)
class ServerSight:
    """One look at a server."""

    version: int
    """As libpq tells it: 150018."""
    settings: dict[str, Served]
    role: str
    in_recovery: bool
    pid: int | None
    """The postmaster, where it is proven to run on this machine."""
    wal_rate: float | None
    """Bytes a second, the mean since its counters began."""
    fpi_share: float | None
    """Whole pages in the log by count, 1 at most: compressed or half empty ones take less."""
    wal_window_s: float
    has_module: bool
    tables: dict[str, dict[str, str]]
    """Storage parameters by table of Queen's schema, children of messages left out."""
    role_settings: dict[str, str]
    load: LoadSeen

    @property
    def major(self) -> int:
        """The major version."""
        return self.version // 10000

    @property
    def enumvals(self) -> dict[str, tuple[str, ...]]:
        """The words that each setting takes."""
        return {name: setting.words for name, setting in self.settings.items() if setting.words}

    @property
    def preloaded(self) -> tuple[str, ...] | None:
        """What is preloaded; None without the right to see it."""
        setting = self.settings.get("shared_preload_libraries")
        if setting is None:
            return None
        return tuple(word.strip().strip('"') for word in setting.value.split(",") if word.strip())

    @property
    def data_dir(self) -> Path | None:
        """The data directory; None without the right to see it."""
        setting = self.settings.get("data_directory")
        return Path(setting.value) if setting is not None and setting.value else None


def look(dsn: str, schema: str) -> ServerSight:
    """Looks once. Raises StoreUnavailable, AccessDenied, CannotLook or another QueenError."""
    with Inspector(dsn, schema, application=APPLICATION) as inspector:
        server = inspector.row(sql.catalog("server"))
        names = {"names": [*KNOWN, *_ALSO]}
        rate, share, window = _written(inspector)
        return ServerSight(
            version=inspector.version,
            settings=served(inspector.rows(sql.catalog("tuned_settings"), names)),
            role=inspector.connection.info.user,
            in_recovery=bool(server["in_recovery"]),
            pid=postmaster_here(inspector.host, int(server["backend_pid"])),
            wal_rate=rate,
            fpi_share=share,
            wal_window_s=window,
            has_module=bool(inspector.row(sql.catalog("offered_module"), {"name": _MODULE}).get("offered")),
            tables=_tables(inspector, schema),
            role_settings=_role_settings(inspector),
            load=_load(inspector),
        )


def _written(inspector: Inspector) -> tuple[float | None, float | None, float]:
    """(bytes a second, share of whole pages, seconds counted)."""
    row = _row(inspector, "wal_written")
    window = float(row.get("seconds") or 0.0)
    if window < WINDOW_S_MIN or not row["wal_bytes"]:
        return None, None, window
    written = float(row["wal_bytes"])
    pages = float(row["full_page_images"]) * float(row["block_bytes"])
    return written / window, min(1.0, pages / written) if written >= SHARE_BYTES_MIN else None, window


def _tables(inspector: Inspector, schema: str) -> dict[str, dict[str, str]]:
    try:
        rows = inspector.rows(sql.catalog("storage"), {"schema": schema})
    except CannotLook:
        return {}
    return {row["table_name"]: _pairs(row["parameters"].split(", ")) for row in rows}


def _role_settings(inspector: Inspector) -> dict[str, str]:
    """What is set for the role; a setting for this database alone outranks one for all."""
    try:
        rows = inspector.rows(sql.catalog("role_settings"))
    except CannotLook:
        return {}
    rows.sort(key=lambda row: row["scope"] == "database")
    return _pairs([row["setting"] for row in rows])


def _load(inspector: Inspector) -> LoadSeen:
    row = _row(inspector, "load_seen")
    if not row:
        return LoadSeen()
    return LoadSeen(float(row["messages_per_s"] or 0), int(row["instances"]), int(row["pool_size"]))


def _pairs(texts: list[str]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts if "=" in text)


def _row(inspector: Inspector, name: str) -> dict[str, Any]:
    try:
        return inspector.row(sql.catalog(name))
    except CannotLook:
        return {}
