"""What goes over the wire: libpq's own trace of a connection, counted.

A `Sync` ends a round trip of the extended protocol, and outside a transaction block it is the commit; a `Query` is a
round trip of the simple one.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg.pq import Trace

from queen.runtime import Runtime


@dataclass
class Traffic:
    """The messages of the frontend while a trace was on, as (name, rest)."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    @property
    def round_trips(self) -> int:
        return sum(name in ("Sync", "Query") for name, _ in self.sent)

    @property
    def executed(self) -> int:
        """Statements, prepared or plain."""
        return sum(name in ("Execute", "Query") for name, _ in self.sent)

    @property
    def parsed(self) -> list[str]:
        """The texts that were sent to be prepared."""
        return [rest for name, rest in self.sent if name in ("Parse", "Query")]


@asynccontextmanager
async def watched(runtime: Runtime) -> AsyncIterator[Traffic]:
    """Counts what a runtime with a pool of one connection sends inside the block."""
    assert runtime.settings.database.pool_size == 1, "one connection can be watched"
    traffic = Traffic()
    connection: psycopg.AsyncConnection[tuple[object, ...]]
    with tempfile.TemporaryFile("w+b") as file:
        async with runtime.pool.connection() as connection:
            connection.pgconn.trace(file.fileno())
            connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield traffic
        finally:
            connection.pgconn.untrace()
        file.seek(0)
        traffic.sent += _frontend(file.read().decode("utf-8", "replace"))


def _frontend(text: str) -> list[tuple[str, str]]:
    """Lines such as `F<tab>4<tab>Sync`. A value with a newline makes lines of another form, which do not count."""
    found = []
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) >= 3 and parts[0] == "F" and parts[1].strip().isdigit():
            found.append((parts[2].strip(), "\t".join(parts[3:])))
    return found
