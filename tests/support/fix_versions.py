"""A running PostgreSQL of each major version from 14 on, started when a test first asks and kept for the session.

`postgres_versions` runs a test once for each version; `postgres_version(17)` gives a certain one. Each is a private
cluster as the embedded server runs it: a Unix socket only, an unprivileged user, Queen's role as its superuser. Tests
that use one are marked `components` by themselves. A version that cannot be had is skipped; in CI that is a failure.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from queen.embedded.cluster import Cluster
from queen.settings import EmbeddedSettings
from tests.support.fix_postgres import PostgresServer
from tests.support.versions import MAJORS, NotHere, bin_dir


class VersionServer(PostgresServer):
    """A server of a known major version, with its cluster, whose files the tests may look at."""

    def __init__(self, cluster: Cluster, major: int) -> None:
        super().__init__(cluster.dsn, cluster.bin_dir)
        self.cluster = cluster
        self.major = major


class _Servers:
    """Starts what is asked for, and remembers it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[int, VersionServer] = {}

    def __call__(self, major: int) -> VersionServer:
        if major not in self._running:
            programs = _programs(major)
            folder = self._folder / str(major)  # data of another version would forbid the programs of this one
            settings = EmbeddedSettings(
                data_dir=str(folder), bin_dir=str(programs), wal_reserve_bytes=0, tune="baseline"
            )
            self._running[major] = VersionServer(Cluster.open(settings, holder="tests"), major)
        return self._running[major]

    def close(self) -> None:
        """Ends them all at once: each writes and waits for its disk."""
        clusters = [server.cluster for server in self._running.values()]
        with ThreadPoolExecutor(max_workers=len(MAJORS)) as pool:
            list(pool.map(Cluster.close, clusters))


@pytest.fixture(scope="session")
def postgres_version() -> Iterator[Callable[[int], VersionServer]]:
    """Gives the running server of a major version."""
    folder = Path(tempfile.mkdtemp(prefix="queen-versions-"))
    # PostgreSQL may run as another user, who must be able to reach its folder.
    folder.chmod(0o755)
    servers = _Servers(folder)
    try:
        yield servers
    finally:
        servers.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", params=MAJORS, ids=[f"pg{major}" for major in MAJORS])
def postgres_versions(
    request: pytest.FixtureRequest, postgres_version: Callable[[int], VersionServer]
) -> VersionServer:
    """The running server of each major version, one after the other."""
    return postgres_version(request.param)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what uses these servers, before tests are selected by marker and sorted into tiers."""
    for item in items:
        if "postgres_version" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.components)


def _programs(major: int) -> Path:
    try:
        return bin_dir(major)
    except NotHere as reason:
        if "CI" in os.environ:
            pytest.fail(str(reason))
        pytest.skip(str(reason))
