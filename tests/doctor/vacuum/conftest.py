"""A PostgreSQL for illnesses that need settings of the whole server: others are not to feel them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from queen.embedded.cluster import Cluster
from queen.settings import EmbeddedSettings
from tests.support.fix_postgres import PostgresServer

SETTINGS = {
    "wal_level": "logical",
    "max_prepared_transactions": "4",
    "autovacuum_naptime": "1",
    "autovacuum_max_workers": "1",
}


class Workshop:
    """A private server that can be started anew, and databases in it."""

    def __init__(self, folder: Path) -> None:
        self._settings = EmbeddedSettings(data_dir=str(folder / "d"), wal_reserve_bytes=0)
        self._cluster = Cluster.open(self._settings, holder="tests")
        with psycopg.connect(self._cluster.dsn, autocommit=True) as connection:
            for name, value in SETTINGS.items():
                connection.execute(f"alter system set {name} = {value}")
        self.restart()
        self.server = PostgresServer(self._cluster.dsn, self._cluster.bin_dir)

    def restart(self) -> None:
        """Settings that need it count from now on; addresses stay."""
        self._cluster.close()
        self._cluster = Cluster.open(self._settings, holder="tests")

    @property
    def cluster(self) -> Cluster:
        return self._cluster

    def close(self) -> None:
        self.server.close()
        self._cluster.close()


@pytest.fixture(scope="session")
def workshop(postgres_server: PostgresServer) -> Iterator[Workshop]:
    """One for all the tests that need it: it takes seconds to start. Skips where the tests use a server of the user's."""
    if postgres_server.bin_dir is None:
        pytest.skip("needs PostgreSQL's own programs")
    folder = Path(tempfile.mkdtemp(prefix="queen-test-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user, who must be able to reach its folder
    try:
        made = Workshop(folder)
        yield made
        made.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def workshop_dsn(workshop: Workshop) -> Iterator[str]:
    """A fresh migrated database in it."""
    url = workshop.server.create()
    yield url
    workshop.server.drop(url)
