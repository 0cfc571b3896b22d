"""Databases in the PostgreSQL that tests may make ill, for tests of this folder that change settings of the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fix_postgres import PostgresServer
from tests.support.own_cluster import OwnCluster


@pytest.fixture(scope="session")
def own_databases(own_cluster: OwnCluster) -> Iterator[PostgresServer]:
    """Makes databases there."""
    made = PostgresServer(own_cluster.dsn, own_cluster.bin_dir)
    yield made
    made.close()


@pytest.fixture
def own_dsn(own_databases: PostgresServer) -> Iterator[str]:
    """A fresh migrated database there."""
    url = own_databases.create()
    yield url
    own_databases.drop(url)


@pytest.fixture
def eager_autovacuum(own_cluster: OwnCluster) -> Iterator[None]:
    """Autovacuum looks every second, with one worker."""
    own_cluster.execute("alter system set autovacuum_naptime = 1", "alter system set autovacuum_max_workers = 1")
    own_cluster.restart()
    yield
    own_cluster.execute("alter system reset autovacuum_naptime", "alter system reset autovacuum_max_workers")
    own_cluster.restart()
