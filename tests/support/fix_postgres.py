"""A real PostgreSQL for the tests, and fresh databases in it.

One private cluster for a session (each worker of pytest-xdist has its own), a template that is migrated once, and
copies of it: `database_dsn` for one test, `module_dsn` for one file, `new_database` for more of them. Every test that
uses one of these is marked `pg` by itself.

TEST_DATABASE_URL names another server to use instead, by a role that may create databases; what is made there is
dropped again. It does not start with QUEEN_, so that no server under test takes it for a setting of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from queen.embedded import conf
from queen.embedded.cluster import Cluster
from queen.embedded.find import find_binaries
from queen.errors import EmbeddedError
from queen.settings import EmbeddedSettings
from queen.store.migrate import migrate

SCHEMA = "queen"
VARIABLE = "TEST_DATABASE_URL"


class PostgresServer:
    """A running server in which databases are made and dropped. `bin_dir` is None for a server of the user's."""

    def __init__(self, dsn: str, bin_dir: Path | None) -> None:
        self.bin_dir = bin_dir
        self._parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value not in (None, "")}
        self._prefix = f"queen_test_{secrets.token_hex(4)}"
        self._numbers = itertools.count(1)
        self._template: str | None = None

    def url(self, database: str | None = None) -> str:
        """One of its databases as a URL, the form that every part of Queen takes; by default one to start from."""
        parts = dict(self._parts)
        name = database or parts["dbname"]
        del parts["dbname"]
        return f"postgresql:///{quote(name)}?{urlencode(parts, quote_via=quote)}"

    def create(self, *, migrated: bool = True) -> str:
        """The URL of a new database: a copy of the migrated template, or an empty one."""
        name = f"{self._prefix}_{next(self._numbers)}"
        statement = sql.SQL("create database {}").format(sql.Identifier(name))
        if migrated:
            statement += sql.SQL(" template {}").format(sql.Identifier(self._migrated_template()))
        self.execute(statement)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Ends whoever is connected to a database of `create`, and drops it."""
        name = str(conninfo_to_dict(url)["dbname"])
        self.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def execute(self, statement: sql.Composed) -> None:
        """One statement in the database to start from, outside a transaction."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def close(self) -> None:
        """Drops what is left."""
        if self._template is not None:
            self.drop(self.url(self._template))

    def _migrated_template(self) -> str:
        if self._template is None:
            url = self.create(migrated=False)
            asyncio.run(migrate(url, SCHEMA))
            self._template = str(conninfo_to_dict(url)["dbname"])
        return self._template


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this session. Skips where there is no PostgreSQL; in CI that is a failure."""
    given = os.environ.get(VARIABLE)
    if given:
        yield from _closing(PostgresServer(given, None))
        return
    _need_binaries()
    folder = Path(tempfile.mkdtemp(prefix="queen-test-"))
    # PostgreSQL may run as another user, who must be able to reach its folder.
    folder.chmod(0o755)
    try:
        # The baseline, so that the tests see the same server on every machine.
        settings = EmbeddedSettings(data_dir=str(folder / "d"), wal_reserve_bytes=0, tune="baseline")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(conf, "server_command", _command_that_never_syncs)
            cluster = Cluster.open(settings, holder="tests")
        with cluster:
            yield PostgresServer(cluster.dsn, cluster.bin_dir)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh migrated database for one test, as a URL."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def empty_database_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh database with nothing in it, as a URL."""
    url = postgres_server.create(migrated=False)
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="module")
def module_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """A migrated database that the tests of one file share: each uses queues of its own in it."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def new_database(postgres_server: PostgresServer) -> Iterator[Callable[..., str]]:
    """Makes further databases; takes `migrated`."""
    made: list[str] = []

    def create(*, migrated: bool = True) -> str:
        made.append(postgres_server.create(migrated=migrated))
        return made[-1]

    yield create
    for url in made:
        postgres_server.drop(url)


@pytest.fixture(scope="session")
def schema() -> str:
    """The schema of the migrated databases."""
    return SCHEMA


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what uses a database, before tests are selected by marker and sorted into tiers."""
    for item in items:
        if "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.pg)


_server_command = conf.server_command


def _command_that_never_syncs(*arguments: Any) -> list[str]:
    """What is in these databases need not outlive the machine. To drop one syncs all others, for each of 600 tests."""
    return ["fsync=off" if word == "fsync=on" else word for word in _server_command(*arguments)]


def _closing(server: PostgresServer) -> Iterator[PostgresServer]:
    try:
        yield server
    finally:
        server.close()


def _need_binaries() -> None:
    try:
        find_binaries(None)
    except EmbeddedError as error:
        if "CI" in os.environ:
            pytest.fail(f"CI needs the Debian package postgresql: {error.message}")
        pytest.skip(f"needs the Debian package postgresql: {error.message}")
