"""Where the platform wants things: folders of the user, the search path, an environment for child programs.

The only reader of these environment variables, so that nothing below the settings looks at the environment itself.
It makes no folder and knows nothing of what is kept in one.
"""

from __future__ import annotations

import os
from pathlib import Path


def data_home() -> Path | None:
    """The folder for a user's data (`XDG_DATA_HOME`, else `~/.local/share`); None when the user has no home."""
    given = os.environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    home = os.path.expanduser("~")
    return Path(home, ".local", "share") if os.path.isabs(home) else None


def runtime_dir() -> Path | None:
    """The folder for sockets of this login (`XDG_RUNTIME_DIR`), when there is one."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(given) if os.path.isabs(given) and os.path.isdir(given) else None


def search_path() -> str:
    """The folders in which programs are looked for."""
    return os.environ.get("PATH") or os.defpath


def environment_without(prefix: str) -> dict[str, str]:
    """The environment for a child program, less the variables that start with `prefix`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefix)}


_ALIASES = frozenset({"DATABASE_URL", "DB_POOL_SIZE", "DB_CONNECTION_TIMEOUT", "PORT", "HIGH_PERF"})


def environment_without_settings() -> dict[str, str]:
    """The environment for a child that must be aimed by its arguments alone: without settings of Queen and libpq."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("QUEEN_", "PG", "DB_")) and name not in _ALIASES
    }
