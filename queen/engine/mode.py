"""High-performance mode or safe defaults: which of the two, why, and what follows for the size of an operation.

Both modes give the same guarantees. Knows settings only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from queen.settings import EngineSettings, Settings

HIGH_PERF_POOL_SIZE: Final = 50
"""From this pool size on, high-performance mode is on by itself."""

_HIGH_PERF_MESSAGES_MAX, _HIGH_PERF_BYTES_MAX = 1_000, 8 << 20
_SAFE_MESSAGES_MAX, _SAFE_BYTES_MAX = 500, 2 << 20


@dataclass(frozen=True, slots=True)
class Mode:
    """The mode in force and the reason for it, in words for people."""

    high_perf: bool
    reason: str

    @property
    def name(self) -> str:
        """`high-performance` or `safe`."""
        return "high-performance" if self.high_perf else "safe"


def mode_of(settings: Settings) -> Mode:
    """The mode of these settings, which are those of the whole instance and not of one of its workers."""
    wanted, pool_size = settings.engine.high_perf, settings.database.pool_size
    if wanted is not None:
        return Mode(wanted, "set by engine.high_perf")
    if pool_size >= HIGH_PERF_POOL_SIZE:
        return Mode(True, f"pool size {pool_size} is at least {HIGH_PERF_POOL_SIZE}")
    return Mode(False, f"pool size {pool_size} is below {HIGH_PERF_POOL_SIZE}")


def decided(settings: Settings) -> Settings:
    """The same settings with the mode written down, so that a smaller share of the pool cannot change it."""
    return replace(settings, engine=replace(settings.engine, high_perf=mode_of(settings).high_perf))


def operation_messages_max(settings: EngineSettings) -> int:
    """Most messages, or acks, of one database operation: as set, else by the mode; an open mode counts as safe."""
    if settings.push_messages_max is not None:
        return settings.push_messages_max
    return _HIGH_PERF_MESSAGES_MAX if settings.high_perf else _SAFE_MESSAGES_MAX


def operation_bytes_max(settings: EngineSettings) -> int:
    """Most payload of one database operation, likewise."""
    if settings.push_bytes_max is not None:
        return settings.push_bytes_max
    return _HIGH_PERF_BYTES_MAX if settings.high_perf else _SAFE_BYTES_MAX
