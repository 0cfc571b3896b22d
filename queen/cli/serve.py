"""`queen serve`: the daemon. Finds its database, or starts a private one, and runs the server."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from queen.cli import console
from queen.cli.options import (
    ConfigOption,
    ConnectionTimeoutOption,
    CorsOriginOption,
    DatabaseUrlOption,
    DataDirOption,
    HighPerfOption,
    HostOption,
    LogFormatOption,
    LogLevelOption,
    MaxMemoryOption,
    PoolSizeOption,
    PortOption,
    WorkersOption,
    flags,
)

if TYPE_CHECKING:
    from queen.embedded.cluster import Cluster
    from queen.settings import Settings

log = logging.getLogger(__name__)

_GUARD_S = 1.0


def serve(
    host: HostOption = None,
    port: PortOption = None,
    pool_size: PoolSizeOption = None,
    connection_timeout: ConnectionTimeoutOption = None,
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    max_memory: MaxMemoryOption = None,
    workers: WorkersOption = None,
    high_perf: HighPerfOption = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
    cors_origin: CorsOriginOption = None,
) -> None:
    """Run the server, until Ctrl-C or SIGTERM.

    Without a database setting it starts a private PostgreSQL and keeps its data for the next time.

    Examples:

      queen serve

      queen serve --database-url postgresql://queen@db/queen --pool-size 100 --workers 4
    """
    from queen import log as logs
    from queen import settings as s

    given = flags(
        host=host,
        port=port,
        pool_size=pool_size,
        connection_timeout=connection_timeout,
        database_url=database_url,
        data_dir=data_dir,
        max_memory=max_memory,
        workers=workers,
        high_perf=high_perf,
        log_format=log_format,
        log_level=log_level,
        cors_origin=cors_origin,
    )
    settings = s.resolve(given, config_path=config).settings
    logs.setup(settings.log.format, settings.log.level)
    _warn_if_open(settings)
    # Only now, since it takes a second: what is wrong with the settings is told at once.
    from queen.server import run, sockets

    run.check_workers(settings)
    taken = sockets.bind(settings)
    try:
        if s.database_configured(settings):
            _say_database(settings)
            _run(settings, taken, s.database_dsn(settings), s.direct_dsn(settings), None)
        else:
            _serve_embedded(settings, taken)
    finally:
        for sock in taken:
            sock.close()


def _serve_embedded(settings: Settings, sockets: list[socket.socket]) -> None:
    from queen.embedded.cluster import Cluster

    with Cluster.open(settings.embedded, holder="serve") as cluster:
        console.say(f"queen: {cluster.announcement}")
        _run(settings, sockets, cluster.dsn, None, lambda: _guard(cluster))


def _run(
    settings: Settings,
    sockets: list[socket.socket],
    dsn: str,
    direct_dsn: str | None,
    guard: Callable[[], Awaitable[None]] | None,
) -> None:
    from queen.server import run

    run.serve(settings, sockets, dsn, direct_dsn, guard, lambda url, migrated: _announce(settings, url, migrated))


async def _guard(cluster: Cluster) -> None:
    """Bring the private PostgreSQL back when it, or the process that ran it, was killed."""
    while True:
        await asyncio.sleep(_GUARD_S)
        if cluster.alive:
            continue
        try:
            if await asyncio.to_thread(cluster.ensure):
                log.warning("private PostgreSQL came back data=%s owned=%s", cluster.data_dir, cluster.owned)
        except Exception as error:
            log.error("private PostgreSQL does not come back error=%s", error)


def _announce(settings: Settings, url: str, migrated: int | None) -> None:
    from queen import __version__
    from queen.engine.mode import mode_of

    mode, workers = mode_of(settings), settings.server.workers
    if migrated is not None:
        console.say(f"queen: schema {settings.database.schema!r} is now at version {migrated}")
    by = f" by {workers} workers" if workers > 1 else ""
    console.say(
        f"queen {__version__} serves {url}{by}  (docs: {url}/docs)  mode {mode.name}: {mode.reason}. Ctrl-C stops it."
    )


def _say_database(settings: Settings) -> None:
    from queen import settings as s

    console.say(f"queen: PostgreSQL at {s.mask_url(s.database_dsn(settings))}, schema {settings.database.schema!r}")


def _warn_if_open(settings: Settings) -> None:
    if settings.server.host not in ("127.0.0.1", "localhost", "::1"):
        log.warning(
            "listening beyond this machine without authentication host=%s hint=put a proxy in front, or use 127.0.0.1",
            settings.server.host,
        )
