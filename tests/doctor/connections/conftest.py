"""One PostgreSQL with few connections, reached over TCP with a password, for all tests of this folder; databases of its
own for each, and servers of Queen on them."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queen.store.migrate import migrate
from tests.support.fix_server import open_folder, watch
from tests.support.scram_cluster import ScramCluster
from tests.support.server import Server

MAX_CONNECTIONS = 40
USABLE = MAX_CONNECTIONS - 3

MakeDatabase = Callable[[], str]
MakeServer = Callable[..., Server]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster(postgres_programs: Path) -> Iterator[ScramCluster]:
    """A cluster with forty connections, and a migrated database `template` in it."""
    folder = open_folder()
    made = ScramCluster(folder, postgres_programs)
    made.allow("127.0.0.2/32")
    made.start(max_connections=MAX_CONNECTIONS, listen_addresses="127.0.0.1,127.0.0.2")
    made.execute("create database template")
    asyncio.run(migrate(made.url(database="template"), "queen"))
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def dsn(cluster: ScramCluster) -> Iterator[str]:
    """A migrated database of the cluster for the tests of one file, as a URL."""
    name = f"test_{next(_numbers)}"
    cluster.execute(f"create database {name} template template")
    yield cluster.url(database=name)
    cluster.execute(f"drop database {name} with (force)")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[MakeServer]:
    """Starts servers on a database; takes its URL, arguments, and variables of the environment."""
    made: list[Server] = []

    def make(url: str, *arguments: str, **variables: str) -> Server:
        server = Server(tmp_path, "--database-url", url, *arguments, name=f"server-{len(made)}", **variables)
        watch(server)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        if server.running:
            server.terminate()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what uses the cluster, before tests are selected by marker and sorted into tiers."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()) and "connections" in item.path.parts:
            item.add_marker(pytest.mark.pg)
