"""A session on a fresh database for each test of a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.sql.client import Session


@pytest.fixture
def session(database_dsn: str, schema: str) -> Iterator[Session]:
    """A session on a fresh migrated database."""
    with Session(database_dsn, schema) as opened:
        yield opened


@pytest.fixture
def another(database_dsn: str, schema: str) -> Iterator[Callable[[], Session]]:
    """Opens further sessions on the database of `session`."""
    opened: list[Session] = []

    def open_one() -> Session:
        opened.append(Session(database_dsn, schema))
        return opened[-1]

    yield open_one
    for one in opened:
        one.connection.close()
