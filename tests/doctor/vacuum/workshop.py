"""A PostgreSQL for illnesses that need settings of the whole server: others are not to feel them."""

from __future__ import annotations

from pathlib import Path

import psycopg

from queen.embedded.cluster import Cluster
from queen.settings import EmbeddedSettings
from tests.doctor.vacuum.slow import wait_until
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

    def await_setting(self, name: str, value: str) -> None:
        """Returns when the server has read this value from its files."""
        wait_until(lambda: self._setting(name) == value)

    def _setting(self, name: str) -> str:
        # A new session begins with what the server has read.
        with psycopg.connect(self._cluster.dsn) as connection:
            row = connection.execute("select current_setting(%s)", [name]).fetchone()
        return str(row[0]) if row else ""

    @property
    def cluster(self) -> Cluster:
        return self._cluster

    def close(self) -> None:
        self.server.close()
        self._cluster.close()
