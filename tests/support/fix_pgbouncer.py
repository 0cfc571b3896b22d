"""A real PgBouncer for the tests. Whatever is started is ended by its process id.

Tests that use it are marked `components` by themselves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import newer_pgbouncer
from tests.support.fix_server import open_folder
from tests.support.pgbouncer import PgBouncer
from tests.support.versions import NotHere

MakePgBouncer = Callable[..., PgBouncer]


@pytest.fixture(scope="session", params=["system", pytest.param("newer", marks=pytest.mark.slow)])
def pgbouncer_program(request: pytest.FixtureRequest) -> str:
    """The program: the system's, and in the slow tier a newer one, which keeps prepared statements. Skips where there
    is none; in CI that is a failure."""
    try:
        return str(newer_pgbouncer.program()) if request.param == "newer" else _of_the_system()
    except NotHere as reason:
        if "CI" in os.environ:
            pytest.fail(f"CI needs PgBouncer: {reason}")
        pytest.skip(str(reason))


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


def _of_the_system() -> str:
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if found is None:
        raise NotHere("the Debian package pgbouncer is not installed")
    return found
