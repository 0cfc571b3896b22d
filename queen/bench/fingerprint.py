"""Where a result came from, complete enough to refuse a comparison: machine, PostgreSQL, software, settings.

It may be published: no host name, user name, path or secret is in it. What is not known is null.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import msgspec

from queen import __version__
from queen.bench.machine import disk, machine
from queen.store.probe import Probe

_PACKAGES: Final = ("psycopg", "psycopg-binary", "psycopg-pool", "uvicorn", "httptools", "uvloop", "fastapi",
                    "starlette", "msgspec", "numpy", "hdrhistogram")  # fmt: skip
_PLAIN_TEXTS: Final = ("wal_buffers", "shared_preload_libraries", "TimeZone", "lc_collate", "server_encoding")
"""Text settings of PostgreSQL that name no place, address or person; of others only the source is told."""
_PRIVATE: Final = ("database.url", "database.direct_url", "database.host", "database.port", "database.user",
                   "database.password", "database.name", "server.host", "server.port", "server.cors_origins",
                   "embedded.data_dir", "embedded.bin_dir", "embedded.user")  # fmt: skip
HIDDEN: Final = "(set)"
_UNMATCHED: Final = ("load_before", "fdatasync_p50_ms", "fdatasync_p99_ms", "fdatasyncs", "queen", "standbys",
                     "databases", "clocks")  # fmt: skip
"""What two comparable runs may differ in. Queen itself is what a comparison is about."""


async def collect(
    *, folder: Path, probe: Probe | None, settings: Mapping[str, Any] | None = None, schema: str = "queen"
) -> dict[str, Any]:
    """The fingerprint. `folder`: where PostgreSQL's data lie when that is here, else where results go. `settings`: of
    the server, as `queen config show --json --origin` prints them. Takes about half a second."""
    return {
        "machine": await asyncio.to_thread(machine),
        "disk": await asyncio.to_thread(disk, folder),
        "postgres": await _postgres(probe, schema) if probe else None,
        "python": _python(),
        "queen": await asyncio.to_thread(_queen),
        "settings": safe_settings(settings) if settings else None,
        "clocks": {"hosts": 1, "offset_ms": 0.0},
        "load_before": round(os.getloadavg()[0], 2),
    }


def match_hash(fingerprint: Mapping[str, Any]) -> str:
    """The same for results that may be compared: all but what is measured, and Queen's own version."""
    kept = msgspec.json.encode(_without(fingerprint), order="sorted")
    return hashlib.sha256(kept).hexdigest()[:16]


def safe_settings(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a server without addresses, names of people, places and secrets."""
    values = shown.get("settings", shown)
    found: dict[str, Any] = {}
    for section, part in values.items():
        for name, value in part.items() if isinstance(part, Mapping) else ():
            key = f"{section}.{name}"
            private = key in _PRIVATE or (isinstance(value, str) and "/" in value)
            found[key] = HIDDEN if private and value is not None else value
    origins = shown.get("origins")
    return {"values": found, "origins": _origins(origins) if isinstance(origins, Mapping) else None}


async def _postgres(probe: Probe, schema: str) -> dict[str, Any] | None:
    found = await probe.row("server")
    if found is None:
        return None
    pid, own = found.pop("backend_pid"), probe.session_pid()
    rows = await probe.rows("settings") or []
    storage = await probe.rows("storage", schema=schema) or []
    version = await probe.row("schema_version")
    return {
        **found,
        "build": found["build"].partition(" on ")[2] or None,
        "pooler": None if own is None else own != pid,
        "settings": {row["name"]: _setting(row) for row in rows},
        "storage": {row["table_name"]: row["parameters"] for row in storage},
        "schema_version": version["schema_version"] if version else None,
    }


def _setting(row: Mapping[str, Any]) -> dict[str, str]:
    shown = row["vartype"] != "string" or row["name"] in _PLAIN_TEXTS or not row["setting"]
    unit = row["unit"] or ""
    value = f"{row['setting']} x {unit}" if unit[:1].isdigit() else f"{row['setting']}{unit}"
    return {"value": value if shown else HIDDEN, "source": row["source"]}


def _python() -> dict[str, Any]:
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "event_loop": "uvloop" if _version("uvloop") else "asyncio",
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _queen() -> dict[str, Any]:
    changes = _git("status", "--porcelain", "--", "queen")
    return {
        "version": __version__,
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if changes is None else changes != "",
    }


def _git(*arguments: str) -> str | None:
    """Of the tree that this code lies in; None where it is none of Queen's own."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _origins(origins: Mapping[str, Any]) -> dict[str, str]:
    """Where values came from, by kind; a file's place is not told."""
    return {key: str(origin).split("/", 1)[0].split(" ", 1)[0] for key, origin in origins.items()}


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(part) for key, part in value.items() if key not in _UNMATCHED}
    return value
