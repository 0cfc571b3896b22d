"""One worker's share of the settings of an instance: what is a bound of the instance is divided among its workers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from queen.settings import Settings

_SHARED: Final[dict[str, tuple[str, ...]]] = {
    "server": ("connections_max",),
    "database": ("pool_size", "pool_waiting_max"),
    "engine": (
        "memory_bytes_max",
        "pending_bytes_max",
        "parked_polls_max",
        "cached_partitions_max",
        "remembered_messages_max",
    ),
}
"""By section. A memory budget that is not set stays so: each worker counts by itself then."""


def share(settings: Settings, index: int, workers: int) -> Settings:
    """The settings of worker `index`, from 0. The shares add up to the whole; each is 1 at least."""
    sections: dict[str, Any] = {}
    for section, names in _SHARED.items():
        whole = getattr(settings, section)
        sections[section] = replace(whole, **{name: _part(getattr(whole, name), index, workers) for name in names})
    return replace(settings, **sections)


def _part(whole: int | None, index: int, workers: int) -> int | None:
    if whole is None:
        return None
    return max(1, whole // workers + (index < whole % workers))
