"""C3 and C10 with a real server: calls that wait for a connection, in vain, and the command that helps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from queen.doctor.finding import Result
from tests.doctor.connections.conftest import MakeServer
from tests.doctor.support import look, only
from tests.support.server import Server, wait_until

CALLS = 6


@contextmanager
def locked(dsn: str) -> Iterator[None]:
    """Management calls stand still inside the block: each holds its connection."""
    with psycopg.connect(dsn) as connection:
        connection.execute("lock table queen.queues in access exclusive mode")
        yield
        connection.rollback()


def flood(server: Server, stop: Callable[[], bool]) -> list[dict[str, Any]]:
    """Calls by so many clients at once until `stop`; those that were refused."""

    def client() -> list[dict[str, Any]]:
        refused = []
        while not stop():
            answer = httpx.get(f"{server.url}/api/v1/resources/queues", timeout=30)
            if answer.status_code != 200:
                refused.append(dict(answer.json()))
        return refused

    with ThreadPoolExecutor(CALLS) as threads:
        return [one for found in [threads.submit(client) for _ in range(CALLS)] for one in found.result()]


def with_flood(dsn: str, server: Server, work: Callable[[], Result]) -> tuple[Result, list[dict[str, Any]]]:
    """What `work` says while clients call and nothing moves, and the calls that were refused."""
    done = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        with locked(dsn):
            flooding = thread.submit(flood, server, done.is_set)
            wait_until(lambda: _waiting(server), "calls to stand in line")
            try:
                result = work()
            finally:
                done.set()
        return result, flooding.result()


def _waiting(server: Server) -> int:
    return int(server.metrics()["database"]["waitingRequests"])


@pytest.mark.spec("R22")
def test_time_outs_are_found_while_they_happen_and_later_and_the_command_helps(dsn: str, serve: MakeServer) -> None:
    server = serve(dsn, DB_POOL_SIZE="2", DB_CONNECTION_TIMEOUT="500")
    result, refused = with_flood(dsn, server, lambda: look(dsn, "C3", url=server.url, window_s=0.8))
    now = only(result)
    assert now.status == "crit"
    assert now.evidence["timeouts"] > 0
    assert now.evidence["pool_size"] == 2

    assert refused
    assert {one["code"] for one in refused} == {"pool_timeout"}
    error, hint = refused[0]["error"], refused[0]["hint"]
    assert error.startswith("timeout exceeded when trying to connect: none of the 2 connections of the pool 'queen'")
    assert "for 0.5" in error
    assert "DB_POOL_SIZE=" in hint

    wait_until(lambda: look(dsn, "C3", url=server.url).status == "ok", "nobody to wait any longer")
    past = only(look(dsn, "C10", url=server.url))
    assert past.status == "warn"
    assert past.evidence["last_hour"] == past.evidence["since_start"] >= len(refused)
    assert past.evidence["pool_size"] == 2
    assert past.evidence["connection_timeout_ms"] == 500
    assert 500 <= past.evidence["longest_wait_ms"] < 30_000
    assert "list_queues" in past.evidence["work"]
    assert past.evidence["instances"] == 1
    assert past.evidence["max_connections"] == 40
    server.terminate()

    # What the error itself advised; the doctor's own advice depends on how busy this machine is, see its own tests.
    size = int(hint.partition("DB_POOL_SIZE=")[2].split()[0])
    assert "DB_CONNECTION_TIMEOUT=10000" in hint
    larger = serve(dsn, DB_POOL_SIZE=str(max(size, CALLS)), DB_CONNECTION_TIMEOUT="10000")
    with ThreadPoolExecutor(CALLS) as threads:
        with locked(dsn):
            calls = [
                threads.submit(httpx.get, f"{larger.url}/api/v1/resources/queues", timeout=30) for _ in range(CALLS)
            ]
            wait_until(lambda: larger.metrics()["database"]["idleConnections"] == 0, "all to hold a connection")
        assert [call.result().status_code for call in calls] == [200] * CALLS
    assert look(dsn, "C3", url=larger.url).status == "ok"
    assert look(dsn, "C10", url=larger.url).status == "ok"


def test_without_a_server_they_are_skipped(dsn: str) -> None:
    for check in ("C3", "C10"):
        result = look(dsn, check)
        assert (result.status, result.enable) == ("skipped", "queen doctor --url http://HOST:6632")
