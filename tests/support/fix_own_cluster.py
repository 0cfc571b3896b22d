"""A PostgreSQL that tests may make ill: small buffers, a log that archives and replicates. One for a session."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.own_cluster import OwnCluster

SETTINGS = {
    "max_connections": "30",
    "shared_buffers": "16MB",
    "wal_buffers": "32kB",
    "max_wal_size": "32MB",
    "min_wal_size": "32MB",
    "wal_level": "logical",
    "archive_mode": "on",
    "archive_command": "true",
    "max_prepared_transactions": "5",
}
"""What takes a restart, or would take one to be of use. A test that changes more takes it back."""


@pytest.fixture(scope="session")
def own_cluster(server_template: Path, postgres_programs: Path) -> Iterator[OwnCluster]:
    """The cluster, running."""
    folder = Path(tempfile.mkdtemp(prefix="queen-test-"))
    cluster = OwnCluster(folder, postgres_programs, server_template, **SETTINGS)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what uses it."""
    for item in items:
        if "own_cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.pg)
