"""The system under load: servers of our own on a private or a named PostgreSQL, or servers that run already.

What is ours is found by nobody else: a folder and ports of its own, no environment, no settings file. It is ended and
removed on every path, by `guard` when the bench itself is killed. Reads no meter and sends no message.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from queen.bench.database import Database
from queen.bench.guard import Guard
from queen.bench.http_call import address, check_queen
from queen.bench.own_server import Server
from queen.errors import ConsentNeeded, SettingsError
from queen.store import alter
from queen.store.occupied import holds_messages
from queen.store.operate import Operator

SCHEMA = "queen"
SERVERS_MAX = 8

_OF_SEVERAL = "server.drain_delay_ms = 1000"
"""One of several is drained as behind a balancer: for a moment it still answers, and sends its clients away."""


@dataclass
class System:
    """What is under load. `dsn`: None when unknown. `database` and `folder`: only when they are ours."""

    servers: list[Server]
    dsn: str | None
    schema: str = SCHEMA
    database: Database | None = None
    folder: Path | None = None
    notes: list[str] = field(default_factory=list)
    _settings: dict[str, Any] | None = None

    async def settings(self) -> dict[str, Any] | None:
        """Of the first own server, asked for once; None of foreign ones."""
        if self._settings is None and self.servers:
            self._settings = await self.servers[0].settings()
        return self._settings

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    @property
    def targets(self) -> tuple[str, ...]:
        """host:port of each server, as the workers take them."""
        return tuple(f"[{s.host}]:{s.port}" if ":" in s.host else f"{s.host}:{s.port}" for s in self.servers)

    @property
    def own_server(self) -> bool:
        return all(server.ours for server in self.servers)


def attached(urls: Sequence[str], dsn: str | None) -> System:
    """Servers that somebody else runs; `dsn` is only looked at. Raises SettingsError, ServerUnreachable, NotQueen."""
    if not urls:
        raise SettingsError("no server is named", hint="write --url http://HOST:PORT")
    servers = []
    for url in urls:
        check_queen(url)
        host, port = address(url)
        servers.append(Server.foreign(host, port))
    return System(servers, dsn)


@asynccontextmanager
async def started(
    serve: Sequence[str] = (),
    *,
    settings: Sequence[str] = (),
    postgres: Sequence[str] = (),
    tables: Sequence[str] = (),
    servers: int = 1,
    dsn: str | None = None,
    schema: str = SCHEMA,
    consent: bool = False,
    keep: bool = False,
) -> AsyncIterator[System]:
    """Our own servers, ready, on a private PostgreSQL or on the database of `dsn`, a URL.

    `serve` are further options of `queen serve` and `settings` further ones of its engine, `postgres` those of the
    private PostgreSQL, `tables` storage parameters. Raises ConsentNeeded when the named database holds messages
    already, EmbeddedError, ServerUnreachable (with the server's last words), SettingsError, CannotChange.
    """
    if not 1 <= servers <= SERVERS_MAX:
        raise SettingsError(f"--servers is from 1 to {SERVERS_MAX}")
    if dsn is not None and not consent:
        await asyncio.to_thread(_check_unused, dsn, schema)
    folder = _make_folder()
    guard = Guard(folder)
    if keep:
        guard.keep()
    system = System([], dsn, schema=schema, folder=folder)
    try:
        if dsn is None:
            system.database = await Database.open(folder / "data")
            if postgres:
                await system.database.configure(postgres)
            system.dsn = system.database.dsn
        text = _settings_file([*settings, *([_OF_SEVERAL] if servers > 1 else [])], dsn, schema)
        # What somebody named may hold a password: arguments are readable by everybody, the file is not.
        shown = system.dsn or "" if dsn is None else ""
        system.servers = [Server.own(folder, shown, serve, guard, number, text) for number in range(servers)]
        for number, server in enumerate(system.servers):  # one after the other: the first one makes the schema
            await server.start()
            if not number and tables:
                await asyncio.to_thread(_set_tables, system.dsn or "", schema, tables)
        yield system
    finally:
        await asyncio.shield(asyncio.to_thread(_end, system, guard, keep))


def _make_folder() -> Path:
    """The private PostgreSQL may run as another user, who must be able to pass through."""
    folder = Path(tempfile.mkdtemp(prefix="queen-bench-"))
    folder.chmod(0o755)
    return folder


def _settings_file(lines: Sequence[str], dsn: str | None, schema: str) -> str:
    """The text of a settings file from `section.name = value`, with the database where one is named."""
    sections: dict[str, dict[str, str]] = {}
    named = [f"database.url = {dsn}", f"database.schema = {schema}"] if dsn is not None else []
    for line in [*named, *lines]:
        key, _, value = line.partition(" = ")
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    return "".join(
        f"{section}:\n" + "".join(f"  {name}: {json.dumps(value)}\n" for name, value in values.items())
        for section, values in sections.items()
    )


def _set_tables(dsn: str, schema: str, lines: Sequence[str]) -> None:
    """Storage parameters from `table.parameter = value`. Raises CannotChange."""
    with Operator(dsn, application="queen-bench") as operator:
        for line in lines:
            place, _, value = line.partition(" = ")
            table, _, name = place.partition(".")
            operator.run(alter.set_table(schema, table, {name: value}))


def _check_unused(dsn: str, schema: str) -> None:
    if holds_messages(dsn, schema):
        raise ConsentNeeded(
            "the database holds messages of Queen already, and bench would write beside them",
            hint="name an empty database, or consent with --yes-use-this-database",
        )


def _end(system: System, guard: Guard, keep: bool) -> None:
    """Servers first, so that PostgreSQL stops without sessions. Waits for each."""
    for server in system.servers:
        server.ask_to_end()
    for server in system.servers:
        server.end()
    if system.database is not None:
        system.database.close()
    if system.folder is not None and not keep:
        shutil.rmtree(system.folder, ignore_errors=True)
    guard.close()
