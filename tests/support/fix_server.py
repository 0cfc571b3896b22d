"""Fixtures of real servers. Whatever they start is ended by its process id, and its log is shown when a test fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from queen.embedded.cluster import Cluster
from queen.embedded.find import find_binaries
from queen.errors import EmbeddedError
from queen.settings import EmbeddedSettings
from queen.store.migrate import migrate
from tests.support.api import Api
from tests.support.fix_postgres import SCHEMA
from tests.support.server import EmbeddedServer, Server

MakeServer = Callable[..., EmbeddedServer]

_LOG_SHOWN_BYTES = 6_000
_servers: weakref.WeakSet[Server] = weakref.WeakSet()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Put the ends of the servers' logs into the report of a failed test."""
    report = yield
    if report.failed:
        for server in list(_servers):
            if server.log.exists():
                text = server.log.read_bytes()[-_LOG_SHOWN_BYTES:].decode("utf-8", "replace")
                report.sections.append((f"log of queen serve, {server.log}", text))
    return report


def watch(server: Server) -> None:
    """Show this server's log with tests that fail from now on."""
    _servers.add(server)


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """The folder of PostgreSQL's programs. Skips where there are none; in CI that is a failure."""
    try:
        return find_binaries(None).bin_dir
    except EmbeddedError as error:
        if "CI" in os.environ:
            pytest.fail(f"CI needs the Debian package postgresql: {error.message}")
        pytest.skip(f"needs the Debian package postgresql: {error.message}")


def open_folder() -> Path:
    """An empty folder that the user PostgreSQL runs as can reach; pytest's own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="queen-test-"))
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def server_template(postgres_programs: Path) -> Iterator[Path]:
    """A data folder that was used and closed once; copies of it save the time of initdb and of the migrations."""
    folder = open_folder()
    settings = EmbeddedSettings(data_dir=str(folder / "t"), wal_reserve_bytes=0, tune="baseline")
    with Cluster.open(settings, holder="tests") as cluster:
        asyncio.run(migrate(cluster.dsn, SCHEMA))
    yield folder / "t"
    shutil.rmtree(folder, ignore_errors=True)


class _Factory:
    """Makes servers and ends them."""

    def __init__(self, template: Path) -> None:
        self._template = template
        self._made: list[EmbeddedServer] = []
        self._folders: list[Path] = []

    def __call__(
        self, *arguments: str, beside: EmbeddedServer | None = None, fresh: bool = False, **variables: str
    ) -> EmbeddedServer:
        """A server that is not started yet: on a data folder of its own (`fresh`: an empty one), or `beside` another
        one on the same folder."""
        if beside is not None:
            folder, data_dir = beside.folder, beside.data_dir
        else:
            folder = open_folder()
            self._folders.append(folder)
            data_dir = folder / "d"
            if not fresh:
                subprocess.run(["cp", "-a", str(self._template), str(data_dir)], check=True)
        server = EmbeddedServer(folder, data_dir, *arguments, name=f"server-{len(self._made)}", **variables)
        watch(server)
        self._made.append(server)
        return server

    def end(self) -> None:
        for server in self._made:
            if server.running:
                server.signal()
        for server in self._made:
            server.end()
            _servers.discard(server)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def session_servers(server_template: Path) -> Iterator[MakeServer]:
    """Makes servers that live as long as the test run."""
    factory = _Factory(server_template)
    yield factory
    factory.end()


@pytest.fixture(scope="module")
def module_servers(server_template: Path) -> Iterator[MakeServer]:
    """Makes servers that live as long as the test file."""
    factory = _Factory(server_template)
    yield factory
    factory.end()


@pytest.fixture
def make_server(server_template: Path) -> Iterator[MakeServer]:
    """Makes servers that live as long as the test."""
    factory = _Factory(server_template)
    yield factory
    factory.end()


@pytest.fixture(scope="module")
def server(module_servers: MakeServer) -> EmbeddedServer:
    """A running server with a private PostgreSQL, shared by a test file."""
    made = module_servers()
    made.start()
    return made


@pytest.fixture(scope="module")
def _module_api(server: EmbeddedServer) -> Iterator[Api]:
    with Api(server.url) as made:
        yield made


@pytest.fixture
def api(server: EmbeddedServer, _module_api: Api) -> Iterator[Api]:
    """Calls to `server`. The server must have survived the test unharmed."""
    pid, since = server.pid, server.log_size()
    yield _module_api
    assert server.pid == pid, "the server was restarted"
    server.check_unharmed(since)


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> str:
    """A queue name of the test's own."""
    return f"q.{request.node.name}"[:200]
