"""`queen db …`: the database that Queen uses, whether private or the user's own.

Parses, resolves settings, calls, prints. What a private PostgreSQL is, `queen.embedded` knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from queen.cli import console
from queen.cli.options import ConfigOption, DatabaseUrlOption, DataDirOption, JsonOption, flags
from queen.settings import Settings, database_configured, database_dsn, direct_dsn, mask_url, resolve

if TYPE_CHECKING:
    from queen.embedded.look import Sight

app = typer.Typer(help="Start, stop, look at and migrate the database.", no_args_is_help=True)

_STOP_TIMEOUT_S = 60.0
_NOT_RUNNING = "the private PostgreSQL is not running"
_START_HINT = "start it with: queen db start, or queen serve"

DetachOption = Annotated[bool, typer.Option("--detach", help="Return when it answers, and leave it running.")]


@app.callback()
def db() -> None:
    """Start, stop, look at and migrate the database."""


@app.command()
def start(
    detach: DetachOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseUrlOption = None,
) -> None:
    """Run the private PostgreSQL until Ctrl-C, or with --detach until `queen db stop`.

    Examples: queen db start; queen db start --detach --data-dir ./data
    """
    from queen.cli.db_hold import hold, hold_detached

    settings = _settings(config, data_dir, database_url)
    _refuse_external(settings, "start")
    if detach:
        hold_detached(settings.embedded, config, data_dir)
    else:
        hold(settings.embedded)


@app.command()
def stop(config: ConfigOption = None, data_dir: DataDirOption = None, database_url: DatabaseUrlOption = None) -> None:
    """Stop a private PostgreSQL that `queen db start` runs. Done already is done.

    Examples: queen db stop; queen db stop --data-dir ./data
    """
    from queen.cli.db_hold import HOLDER
    from queen.embedded.look import end_owner

    settings = _settings(config, data_dir, database_url)
    _refuse_external(settings, "stop")
    sight = _look(settings)
    if sight is None or sight.note is None:
        console.say(f"{_NOT_RUNNING}: nothing to stop")
        return
    if sight.note.holder != HOLDER:
        console.fail(
            f"PostgreSQL belongs to a running `queen {sight.note.holder}` (process {sight.note.owner_pid})",
            console.REFUSED,
            hint=f"stop that process, and PostgreSQL stops with it: kill {sight.note.owner_pid}",
        )
    if end_owner(sight, _STOP_TIMEOUT_S):
        console.say(f"stopped; the data stays in {sight.home.data}")


@app.command()
def status(
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseUrlOption = None,
) -> None:
    """Say whether the database answers, which one it is, where it lives and how large it is. Exit code 3: it does not.

    Examples: queen db status; queen db status --json
    """
    settings = _settings(config, data_dir, database_url)
    external = database_configured(settings)
    report = _external_report(settings) if external else _private_report(_look(settings))
    if as_json:
        console.put_json({"schema_version": 1, **report})
    else:
        _print_report(report)
    if not report["running"]:
        raise typer.Exit(console.UNREACHABLE)


@app.command()
def url(config: ConfigOption = None, data_dir: DataDirOption = None, database_url: DatabaseUrlOption = None) -> None:
    """Print the URL for psql and other tools. Exit code 3: the private PostgreSQL does not run.

    A password of your own database is masked: you know it, and a terminal keeps what it shows.

    Examples: psql "$(queen db url)"; queen db url --data-dir ./data
    """
    from queen.embedded.cluster import socket_url

    settings = _settings(config, data_dir, database_url)
    if database_configured(settings):
        console.put(_shown(settings))
        return
    sight = _look(settings)
    if sight is None or sight.socket_dir is None or not sight.answers:
        console.fail(_NOT_RUNNING, console.UNREACHABLE, hint=_START_HINT)
    console.put(socket_url(sight.socket_dir))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseUrlOption = None,
) -> None:
    """Open psql on the database; what follows goes to psql. Starts the private PostgreSQL for as long as it takes.

    Examples: queen db psql; queen db psql -c 'select count(*) from queen.messages'
    """
    from queen.cli.db_psql import run_psql

    settings = _settings(config, data_dir, database_url)
    with _database(settings) as (dsn, bin_dir):
        code = run_psql(dsn, bin_dir, context.args)
    raise typer.Exit(code)


@app.command()
def migrate(
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseUrlOption = None,
) -> None:
    """Create or upgrade Queen's schema. `queen serve` does so by itself; run it before a rolling deploy.

    Examples: queen db migrate; queen db migrate --database-url postgresql://queen@db.example.com/queen
    """
    import asyncio

    from queen.store.migrate import migrate as migrate_schema

    settings = _settings(config, data_dir, database_url)
    with _database(settings) as (dsn, _):
        report = asyncio.run(migrate_schema(dsn, settings.database.schema))
    if as_json:
        versions = {"from_version": report.from_version, "to_version": report.to_version}
        console.put_json(
            {"schema_version": 1, "schema": settings.database.schema, **versions, "applied": report.applied}
        )
        return
    for name in report.applied:
        console.put(f"applied {name}")
    change = f"{report.from_version} -> {report.to_version}" if report.applied else f"{report.to_version}, up to date"
    console.put(f"schema {settings.database.schema}: version {change}")


def _settings(config: Path | None, data_dir: str | None, database_url: str | None) -> Settings:
    return resolve(flags(data_dir=data_dir, database_url=database_url), config_path=config).settings


def _refuse_external(settings: Settings, verb: str) -> None:
    if database_configured(settings):
        console.fail(
            f"a database of your own is configured ({_shown(settings)}); queen will not {verb} it",
            console.REFUSED,
            hint=f"{verb} it with its own tools; queen config show --origin tells where it is configured",
        )


def _shown(settings: Settings) -> str:
    """The configured database without its password."""
    database = settings.database
    if database.url is not None:
        return mask_url(database.url)
    parts = {"host": database.host, "port": database.port, "user": database.user, "dbname": database.name}
    return " ".join(f"{name}={value}" for name, value in parts.items() if value is not None)


@contextmanager
def _database(settings: Settings) -> Iterator[tuple[str, Path | None]]:
    """The DSN to work on, and the folder of its programs where that is known. A private one is opened meanwhile."""
    if database_configured(settings):
        yield direct_dsn(settings), None
        return
    from queen.embedded.cluster import Cluster

    with Cluster.open(settings.embedded, holder="db") as cluster:
        yield cluster.dsn, cluster.bin_dir


def _look(settings: Settings) -> Sight | None:
    from queen.embedded.look import look

    return look(settings.embedded)


def _external_report(settings: Settings) -> dict[str, Any]:
    from queen.errors import AccessDenied, StoreUnavailable
    from queen.store.connect import facts

    report: dict[str, Any] = {"private": False, "database": _shown(settings), "running": False}
    try:
        seen = facts(database_dsn(settings))
    except (StoreUnavailable, AccessDenied) as error:
        return {**report, "reason": error.message}
    return {
        **report,
        "running": True,
        "version": seen.version,
        "connections": seen.connections,
        "connections_max": seen.connections_max,
        "database_bytes": seen.database_bytes,
    }


def _private_report(sight: Sight | None) -> dict[str, Any]:
    from queen.embedded import server
    from queen.embedded.cluster import socket_url
    from queen.embedded.look import disk_bytes
    from queen.store.connect import facts

    report: dict[str, Any] = {"private": True, "running": False}
    if sight is None:
        return {**report, "reason": "it was never started here"}
    report |= {"data_dir": str(sight.home.data), "disk_bytes": disk_bytes(sight.home)}
    if sight.note is None or sight.socket_dir is None:
        return report
    report |= {"owner_pid": sight.note.owner_pid, "owner": f"queen {sight.note.holder}"}
    if not sight.answers:
        return {**report, "reason": "it does not answer yet"}
    seen = facts(server.dsn(sight.socket_dir))
    return {
        **report,
        "running": True,
        "version": seen.version,
        "bin_dir": sight.note.bin_dir,
        "postmaster_pid": sight.note.postmaster_pid,
        "started_at": sight.note.started_at,
        "socket_dir": str(sight.socket_dir),
        "url": socket_url(sight.socket_dir),
        "connections": seen.connections,
        "connections_max": seen.connections_max,
        "database_bytes": seen.database_bytes,
    }


def _print_report(report: dict[str, Any]) -> None:
    from queen.units import round_bytes

    for key, value in report.items():
        if key.endswith("_bytes"):
            console.put(f"{key.removesuffix('_bytes')} size: {round_bytes(value)}")
        elif isinstance(value, bool):
            console.put(f"{key}: {'yes' if value else 'no'}")
        else:
            console.put(f"{key.replace('_', ' ')}: {value}")
