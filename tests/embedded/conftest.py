"""Folders and processes for the tests of the private PostgreSQL. Everything they start ends with the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queen.embedded.cluster import Cluster
from queen.embedded.find import find_binaries
from queen.errors import EmbeddedError
from queen.settings import EmbeddedSettings
from queen.settings.places import environment_without
from tests.embedded.support import Holder


@pytest.fixture(scope="session")
def programs() -> None:
    """Skips where there is no PostgreSQL; in CI that is a failure."""
    try:
        find_binaries(None)
    except EmbeddedError as error:
        if "CI" in os.environ:
            pytest.fail(f"CI needs the Debian package postgresql: {error.message}")
        pytest.skip(f"needs the Debian package postgresql: {error.message}")


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder that the user PostgreSQL runs as can reach; pytest's own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="queen-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(programs: None) -> Iterator[Path]:
    """A data folder that was used and closed once; copies of it save the time of initdb."""
    folder = Path(tempfile.mkdtemp(prefix="queen-test-"))
    folder.chmod(0o755)
    Cluster.open(EmbeddedSettings(data_dir=str(folder / "t"), wal_reserve_bytes=0)).close()
    yield folder / "t"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data_dir(template: Path, place: Path) -> str:
    """A data folder with a stopped cluster in it."""
    subprocess.run(["cp", "-a", str(template), str(place / "d")], check=True)
    return str(place / "d")


@pytest.fixture
def settings(data_dir: str) -> EmbeddedSettings:
    return EmbeddedSettings(data_dir=data_dir, wal_reserve_bytes=0)


@pytest.fixture
def hold() -> Iterator[Callable[..., Holder]]:
    """Starts processes that open a cluster; see `Holder`."""
    started: list[Holder] = []

    def start(data_dir: str, *, wait: bool = True) -> Holder:
        holder = Holder(data_dir, environment_without("PG"))
        started.append(holder)
        if wait:
            holder.opened()
        return holder

    yield start
    for holder in started:
        holder.kill()
    for holder in started:
        holder.tidy()
