"""`queen config show`: the settings in force and where each came from. Secrets are always masked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from queen.cli import console
from queen.cli.options import (
    ConfigOption,
    ConnectionTimeoutOption,
    CorsOriginOption,
    DatabaseUrlOption,
    DataDirOption,
    HighPerfOption,
    HostOption,
    JsonOption,
    LogFormatOption,
    LogLevelOption,
    MaxMemoryOption,
    PoolSizeOption,
    PortOption,
    WorkersOption,
    flags,
)
from queen.settings import Row, resolve

app = typer.Typer(help="Look at the settings.", no_args_is_help=True)

OriginOption = Annotated[bool, typer.Option("--origin", help="Say where each value came from.")]


@app.callback()
def config() -> None:
    """Look at the settings."""


@app.command()
def show(
    as_json: JsonOption = False,
    origin: OriginOption = False,
    config: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    cors_origin: CorsOriginOption = None,
    database_url: DatabaseUrlOption = None,
    pool_size: PoolSizeOption = None,
    connection_timeout: ConnectionTimeoutOption = None,
    data_dir: DataDirOption = None,
    max_memory: MaxMemoryOption = None,
    workers: WorkersOption = None,
    high_perf: HighPerfOption = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Print the settings that a command with these options, environment and files would run with.

    Examples: queen config show --origin; DB_POOL_SIZE=100 queen config show --json
    """
    given = flags(
        host=host,
        port=port,
        cors_origin=cors_origin,
        database_url=database_url,
        pool_size=pool_size,
        connection_timeout=connection_timeout,
        data_dir=data_dir,
        max_memory=max_memory,
        workers=workers,
        high_perf=high_perf,
        log_format=log_format,
        log_level=log_level,
    )
    from queen.engine.mode import mode_of

    resolved = resolve(given, config_path=config)
    rows, mode = list(resolved.rows()), mode_of(resolved.settings)
    if as_json:
        console.put_json(_document(rows, origin) | {"mode": {"name": mode.name, "reason": mode.reason}})
    else:
        _print_table(rows, origin)
        console.put(f"mode {mode.name}: {mode.reason}")


def _print_table(rows: Iterable[Row], origin: bool) -> None:
    cells = [(row.key, row.value or "-", row.origin) for row in rows]
    key_width = max(len(key) for key, _, _ in cells)
    value_width = max(len(value) for _, value, _ in cells)
    for key, value, source in cells:
        line = f"{key:<{key_width}}  {value:<{value_width}}  {source}" if origin else f"{key:<{key_width}}  {value}"
        console.put(line)


def _document(rows: Iterable[Row], origin: bool) -> dict[str, Any]:
    """One object: the values by section and, if asked for, the origins in the same shape."""
    document: dict[str, Any] = {"schema_version": 1, "settings": {}}
    if origin:
        document["origins"] = {}
    for row in rows:
        section, _, name = row.key.partition(".")
        document["settings"].setdefault(section, {})[name] = row.data
        if origin:
            document["origins"].setdefault(section, {})[name] = row.origin
    return document
