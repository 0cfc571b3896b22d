"""A real PgBouncer for the tests. Whatever is started is ended by its process id.

Tests that use it are marked `components` by themselves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.fix_server import open_folder
from tests.support.pgbouncer import PgBouncer

MakePgBouncer = Callable[..., PgBouncer]


@pytest.fixture(scope="session")
def pgbouncer_program() -> str:
    """The program. Skips where there is none; in CI that is a failure."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if found is None:
        if "CI" in os.environ:
            pytest.fail("CI needs the Debian package pgbouncer")
        pytest.skip("needs the Debian package pgbouncer")
    return found


@pytest.fixture(scope="module")
def make_pgbouncer(pgbouncer_program: str) -> Iterator[MakePgBouncer]:
    """Starts bouncers that live as long as the test file: takes the URL of a database, with a password, and settings
    of `pgbouncer.ini`."""
    made: list[PgBouncer] = []
    folders = []

    def make(target: str, **settings: Any) -> PgBouncer:
        folders.append(open_folder())
        made.append(PgBouncer(folders[-1], pgbouncer_program, target, **settings))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what uses a bouncer, before tests are selected by marker and sorted into tiers."""
    for item in items:
        if "pgbouncer_program" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.components)
