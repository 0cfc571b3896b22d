"""What a push says of its durability, and that it says so when the database is set to less."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.api import Api
from tests.support.fix_server import MakeServer

pytestmark = pytest.mark.pg


def _pushed(url: str, queue: str) -> tuple[str, str]:
    """The durability that a push and the metrics state."""
    with Api(url) as api:
        answer = api.http.post("/api/v1/push", json={"items": [{"queue": queue, "payload": 1}]})
        assert answer.status_code == 201
        return answer.headers["queen-durability"], api.http.get("/metrics").json()["durability"]


def test_commits_that_do_not_wait_for_the_disk_are_called_async(make_server: MakeServer, queue: str) -> None:
    server = make_server()
    server.start()
    assert _pushed(server.url, queue) == ("committed", "committed")
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("alter role queen set synchronous_commit = off")
    server.restart()
    assert _pushed(server.url, queue) == ("async", "async")
