"""Settings: what can be set, where it came from, and the values in force. Knows nothing of what they are used for."""

from __future__ import annotations

from queen.settings.database import database_configured, database_dsn, direct_dsn
from queen.settings.resolve import Resolved, Row, resolve
from queen.settings.schema import (
    DatabaseSettings,
    EmbeddedSettings,
    EngineSettings,
    LogSettings,
    ServerSettings,
    Settings,
)
from queen.settings.values import mask_url

__all__ = [
    "DatabaseSettings",
    "EmbeddedSettings",
    "EngineSettings",
    "LogSettings",
    "Resolved",
    "Row",
    "ServerSettings",
    "Settings",
    "database_configured",
    "database_dsn",
    "direct_dsn",
    "mask_url",
    "resolve",
]
