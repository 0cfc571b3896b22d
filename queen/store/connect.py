"""Single, synchronous connections: is a server there, and the few statements that must run before there is a pool.

Used at start-up and by commands. It knows neither the pool nor Queen's schema; the data plane never comes here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from queen.errors import QueenError, SettingsError
from queen.store.translate import translate

_APPLICATION = "queen-admin"
_OWN = frozenset({"application_name", "connect_timeout", "fallback_application_name", "options"})
"""Parameters that say who connects, and not where to."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What `queen db status` tells about a server."""

    version: str
    connections: int
    """Open client connections, the one that asked not counted."""
    connections_max: int
    database_bytes: int


def ping(dsn: str, timeout_s: float) -> str | None:
    """Asks the server one question. None: it answered; else the reason in one line. Takes about `timeout_s` at most."""
    try:
        with _connect(dsn, timeout_s) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None


@contextmanager
def admin(dsn: str, timeout_s: float = 5.0) -> Iterator[psycopg.Connection]:
    """A connection in autocommit mode, closed at the end. No statement outlives `timeout_s`.

    Raises StoreUnavailable, AccessDenied or another of Queen's errors, also for statements of the block.
    """
    try:
        with _connect(dsn, timeout_s) as connection:
            yield connection
    except psycopg.Error as error:
        raise (translate(error) or QueenError(str(error))) from error


def create_database(dsn: str, name: str, *, timeout_s: float = 60.0) -> bool:
    """Creates the database unless it is there. True when it was made. Raises like `admin`."""
    with admin(dsn, timeout_s) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return found is None


def facts(dsn: str, *, timeout_s: float = 5.0) -> ServerFacts:
    """Version, size and load of the server behind `dsn`. Raises like `admin`."""
    with admin(dsn, timeout_s) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), current_setting('max_connections')::int,"
            " (SELECT count(*) FROM pg_stat_activity"
            "   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),"
            " pg_database_size(current_database())"
        ).fetchone()
    assert row is not None, "a query without FROM returns one row"
    return ServerFacts(version=row[0], connections=row[2], connections_max=row[1], database_bytes=row[3])


def url_of(connection: psycopg.Connection[Any]) -> str:
    """How this connection was made, as a URL with its password: what came from the environment or a password file is
    in it. For a child that is given neither; never print it."""
    found = {key: value for key, value in connection.info.get_parameters().items() if key not in _OWN}
    if connection.info.password:
        found["password"] = connection.info.password
    return "postgresql:///?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in found.items())


def split_password(dsn: str) -> tuple[str, str | None]:
    """The DSN without its password, and the password: an argument list is readable by every user of a machine.

    Raises SettingsError for a DSN that libpq cannot read.
    """
    parts = _parts(dsn)
    password = parts.pop("password", None)
    return make_conninfo("", **parts), None if password is None else str(password)


def address(dsn: str) -> tuple[str, int, str]:
    """Host or socket directory, port and database; libpq's defaults where the DSN leaves them open. Of several hosts
    the first. Raises SettingsError for a DSN that libpq cannot read."""
    parts = _parts(dsn)
    host = str(parts.get("host") or "127.0.0.1").split(",")[0]
    port = str(parts.get("port") or "5432").split(",")[0]
    return host, int(port), str(parts.get("dbname") or "queen")


def _parts(dsn: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(dsn))
    except psycopg.ProgrammingError as error:
        # The driver's text may quote the DSN, and the password with it.
        raise SettingsError("database.url cannot be read as a libpq URL or connection string") from error


@contextmanager
def _connect(dsn: str, timeout_s: float) -> Iterator[psycopg.Connection]:
    connection = psycopg.connect(
        dsn,
        autocommit=True,
        connect_timeout=max(2, math.ceil(timeout_s)),
        application_name=_APPLICATION,
        options=f"-c statement_timeout={math.ceil(timeout_s * 1000)}",
        prepare_threshold=None,
    )
    try:
        yield connection
    finally:
        connection.close()
