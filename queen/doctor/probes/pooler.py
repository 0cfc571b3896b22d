"""Whether a transaction pooler stands between us and PostgreSQL, and what its admin console says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from queen.doctor.facts import Facts
from queen.errors import QueenError
from queen.store.pooler import show

_COMMANDS = ("VERSION", "CONFIG", "POOLS", "DATABASES", "SERVERS", "STATS")
_OWN = "pgbouncer"
"""The console's own database and user: no pool of anybody's."""


@dataclass(frozen=True, slots=True)
class Pooler:
    """`between`: our session goes through one. `transaction_mode`: it is served by changing backends, as far as is
    known. `admin`: its console answered, and all below it is of there; `refused` says why it did not."""

    between: bool = False
    transaction_mode: bool = False
    admin: bool = False
    refused: str | None = None
    version: str | None = None
    pools: tuple[Mapping[str, Any], ...] = ()
    databases: tuple[Mapping[str, Any], ...] = ()
    servers: tuple[Mapping[str, Any], ...] = ()
    stats: tuple[Mapping[str, Any], ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers, such as (1, 18, 0); empty when it is not known."""
        return tuple(int(part) for part in (self.version or "").split(".") if part.isdigit())

    def pool_mode(self, database: str) -> str:
        """How a database's connections are shared: transaction, session or statement."""
        own = {str(pool["pool_mode"]) for pool in self.pools if pool["database"] == database and pool.get("pool_mode")}
        return own.pop() if len(own) == 1 else self.config.get("pool_mode", "")


def look(facts: Facts, admin: str | None = None) -> Pooler | None:
    """The pooler, from our own session, and from its console when `admin` is the URL of one. None: a direct session,
    and no console was named.

    Behind a pooler the backend that works is not the one that the protocol named. Which of its modes it is in only its
    console can tell; without it the one that forbids most is taken for it.
    """
    between = facts.backend_pid != facts.protocol_pid
    if admin is None:
        return Pooler(between=True, transaction_mode=True) if between else None
    try:
        rows = show(admin, _COMMANDS)
    except QueenError as error:
        return Pooler(between=between, transaction_mode=between, refused=error.message)
    found = _of_rows(rows)
    return replace(found, between=between, transaction_mode=between and found.pool_mode(facts.database) != "session")


def _of_rows(rows: Mapping[str, list[dict[str, Any]]]) -> Pooler:
    version = next((str(value) for row in rows["VERSION"] for value in row.values()), "")
    match = re.search(r"\d+(\.\d+)+", version)
    return Pooler(
        admin=True,
        version=match[0] if match else None,
        pools=_others(rows["POOLS"], "database"),
        databases=_others(rows["DATABASES"], "name"),
        servers=tuple(rows["SERVERS"]),
        stats=_others(rows["STATS"], "database"),
        config={str(row["key"]): str(row["value"]) for row in rows["CONFIG"]},
    )


def _others(rows: list[dict[str, Any]], name: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(row for row in rows if row.get(name) != _OWN)
