"""A cluster of one file of tests: its settings are changed, so it is shared with no other file."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from queen.embedded import conf
from queen.embedded.cluster import Cluster
from queen.settings import EmbeddedSettings
from queen.store.migrate import migrate
from queen.tune.flow.journal import Shelf
from tests.support.fix_server import open_folder
from tests.tune.flow.support import SCHEMA, Ground


@pytest.fixture(scope="module")
def _tuned_cluster(server_template: Path) -> Iterator[Cluster]:
    folder = open_folder()
    subprocess.run(["cp", "-a", str(server_template), str(folder / "d")], check=True)
    own = next((folder / "d").glob("pg/*/data/queen.conf"))
    own.write_text(conf.baseline(), "utf-8")  # the same on every machine, in place: it keeps its owner
    try:
        with Cluster.open(EmbeddedSettings(data_dir=str(folder / "d")), holder="tests") as cluster:
            asyncio.run(migrate(cluster.dsn, SCHEMA))
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ground(_tuned_cluster: Cluster, tmp_path: Path) -> Ground:
    """The cluster with a migrated database, and an empty shelf."""
    return Ground(_tuned_cluster, _tuned_cluster.dsn, Shelf(tmp_path / "shelf"))
