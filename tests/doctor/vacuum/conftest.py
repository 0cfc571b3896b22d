"""One more PostgreSQL for the tests of this folder that change settings of the whole server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doctor.vacuum.workshop import Workshop
from tests.support.fix_postgres import PostgresServer


@pytest.fixture(scope="session")
def workshop(postgres_server: PostgresServer) -> Iterator[Workshop]:
    """One for all the tests that need it: it starts in seconds. Skips where only a server of the user's is known."""
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
