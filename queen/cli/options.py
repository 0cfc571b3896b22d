"""Options that several commands share, one place each. Name and help come from the schema of the settings.

An option that was not given is None, so that it stays out of the way of weaker layers. Values stay text: the settings
judge them, and one message names everything that is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from queen.settings.schema import fields
from queen.settings.values import show


def _option(key: str, metavar: str | None = None) -> Any:
    """The option of a setting, with its reason and default as help."""
    field = fields()[key]
    default = show(field, field.default)
    help_text = field.traits.doc + (f" Default: {default}." if default else "")
    names = f"{field.flag}/--no-{field.flag.removeprefix('--')}" if field.kind == "bool" else field.flag
    return typer.Option(names, help=help_text, metavar=metavar, show_default=False)


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file to read instead of config/queen.yaml and the personal one; also QUEEN_CONFIG.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

HostOption = Annotated[str | None, _option("server.host", "ADDRESS")]
PortOption = Annotated[str | None, _option("server.port", "PORT")]
CorsOriginOption = Annotated[list[str] | None, _option("server.cors_origins", "ORIGIN")]
DatabaseUrlOption = Annotated[str | None, _option("database.url", "URL")]
PoolSizeOption = Annotated[str | None, _option("database.pool_size", "N")]
ConnectionTimeoutOption = Annotated[str | None, _option("database.connection_timeout_ms", "MS")]
DataDirOption = Annotated[str | None, _option("embedded.data_dir", "DIR")]
MaxMemoryOption = Annotated[str | None, _option("engine.memory_bytes_max", "SIZE")]
WorkersOption = Annotated[str | None, _option("server.workers", "N")]
HighPerfOption = Annotated[bool | None, _option("engine.high_perf")]
LogFormatOption = Annotated[str | None, _option("log.format", "text|json")]
LogLevelOption = Annotated[str | None, _option("log.level", "LEVEL")]

SETTINGS_OPTIONS: Final = {
    "host": "server.host",
    "port": "server.port",
    "cors_origin": "server.cors_origins",
    "database_url": "database.url",
    "pool_size": "database.pool_size",
    "connection_timeout": "database.connection_timeout_ms",
    "data_dir": "embedded.data_dir",
    "max_memory": "engine.memory_bytes_max",
    "workers": "server.workers",
    "high_perf": "engine.high_perf",
    "log_format": "log.format",
    "log_level": "log.level",
}
"""The setting of each parameter name that the commands use for the options above."""


def flags(**given: object) -> dict[str, object]:
    """What `queen.settings.resolve` takes, from parameters by name: `flags(port=port, pool_size=pool_size)`."""
    return {SETTINGS_OPTIONS[name]: value for name, value in given.items()}
