"""A session on the database that the tests of one file share, with one method per function of Queen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sql.client import Session


@pytest.fixture
def queen(module_dsn: str) -> Iterator[Session]:
    """Pushes, pops and acks in `module_dsn`."""
    with Session(module_dsn) as session:
        yield session
