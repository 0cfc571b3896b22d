"""Looks at where a run takes place: its fingerprint at both ends, and whether the machine was quiet before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from queen.bench import fingerprint, noise
from queen.bench.target import System
from queen.store.probe import Probe

NOISE_S = 3.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


async def look(system: System) -> dict[str, Any]:
    """The fingerprint of machine, database, software and the servers' settings. Takes about a second."""
    async with _probe(system) as probe:
        found = await fingerprint.collect(
            folder=system.folder or Path.cwd(), probe=probe, settings=await system.settings(), schema=system.schema
        )
    return found | {"topology": {"servers": len(system.servers), "colocated": _colocated(system)}}


async def disturbances(system: System, seconds: float = NOISE_S) -> list[str]:
    """What else goes on. What this process, its children, the own servers and PostgreSQL do does not count."""
    own = [server.pid for server in system.servers if server.pid is not None]
    if system.database is not None and system.database.pid is not None:
        own.append(system.database.pid)
    async with _probe(system) as probe:
        return await noise.noise(seconds, own_pids=own, probe=probe)


def changed(start: Mapping[str, Any], end: Mapping[str, Any]) -> list[str]:
    """What became another under way. A database that does not answer any more says nothing of its settings."""
    known = {key for key in start.keys() & end.keys() if start[key] is not None and end[key] is not None}
    return noise.changed_under_way({key: start[key] for key in known}, {key: end[key] for key in known})


@asynccontextmanager
async def _probe(system: System) -> AsyncIterator[Probe | None]:
    """A session for a moment; None when the database is not known."""
    if system.dsn is None:
        yield None
        return
    probe = Probe(system.dsn, system.schema)
    try:
        yield probe
    finally:
        await asyncio.shield(probe.close())


def _colocated(system: System) -> bool | None:
    """Does the load come from the machine that the servers run on? None: not known."""
    hosts = [urlsplit(url).hostname for url in system.urls]
    return True if system.own_server or all(host in _LOOPBACK for host in hosts) else None
