"""enqueue() with real servers: waiting pops, rollbacks, callers that take long, kills, and two servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

import queen
from tests.support.api import Api, data
from tests.support.fix_server import watch
from tests.support.server import EmbeddedServer, Server, wait_until

pytestmark = pytest.mark.pg

Connection = psycopg.Connection[Any]


@pytest.fixture
def caller(server: EmbeddedServer) -> Iterator[Connection]:
    """A program's own connection to the database of the server."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        yield connection


def test_a_commit_wakes_a_waiting_pop(server: EmbeddedServer, api: Api, caller: Connection, queue: str) -> None:
    times = []
    with ThreadPoolExecutor() as pool:
        for turn in range(5):
            poll = pool.submit(lambda: (api.wait_pop(queue, partitions=0), time.monotonic()))
            wait_until(lambda: server.parked_polls() == 1, "the poll to be parked")
            with caller.transaction():
                queen.sql_push(caller, queue, turn, partition=f"p{turn}")
            committed_at = time.monotonic()
            batch, ended_at = poll.result()
            times.append(ended_at - committed_at)
            assert data(batch) == [turn]
            api.settle(batch)
    print(f"delivered after {sorted(times)[2] * 1000:.0f} ms (median), {max(times) * 1000:.0f} ms (most)")
    assert sorted(times)[2] < 1


def test_what_is_rolled_back_never_comes(api: Api, caller: Connection, queue: str) -> None:
    with caller.transaction():
        queen.sql_push(caller, queue, "a")
        with caller.transaction(force_rollback=True):
            queen.sql_push(caller, queue, "taken back")
        queen.sql_push(caller, queue, "b")
    with caller.transaction(force_rollback=True):
        queen.sql_push(caller, queue, "never")
    found = data(api.wait_pop(queue, batch=10))
    if found == ["a"]:
        found += data(api.wait_pop(queue, batch=10))
    assert found == ["a", "b"]
    queen.sql_push(caller, queue, "last")
    wait_until(lambda: api.queue_totals(queue)["total"] == 3, "the last one to be placed")


def test_a_message_has_all_that_a_pushed_one_has(api: Api, caller: Connection, queue: str) -> None:
    assert queen.sql_push(caller, queue, {"order": 7}, partition="eu", transaction_id="t") == "t"
    [message] = api.wait_pop(queue)["messages"]
    assert (message["data"], message["transactionId"], message["partition"]) == ({"order": 7}, "t", "eu")
    [again] = api.push([{"queue": queue, "partition": "eu", "payload": 1, "transactionId": "t"}])
    assert (again["status"], again["message_id"]) == ("duplicate", message["id"])
    assert api.ack([message])[0]["success"]


def test_a_delayed_message_comes_when_it_is_due(api: Api, caller: Connection, queue: str) -> None:
    began_at = time.monotonic()
    queen.sql_push(caller, queue, "later", delay_seconds=1.5)
    assert data(api.wait_pop(queue)) == ["later"]
    assert time.monotonic() - began_at >= 1.5


def test_a_long_transaction_blocks_nobody(api: Api, caller: Connection, queue: str) -> None:
    with caller.transaction():
        queen.sql_push(caller, queue, "late")
        for number in range(20):
            api.push([{"queue": queue, "payload": number}])
            batch = api.wait_pop(queue)
            assert data(batch) == [number]
            api.settle(batch)
        assert api.pop(queue) is None
    assert data(api.wait_pop(queue)) == ["late"]


def test_a_thousand_come_in_order(api: Api, caller: Connection, queue: str) -> None:
    with caller.transaction():
        ids = queen.sql_push_many(caller, queue, range(1000))
    wait_until(lambda: api.pop(queue, consumerGroup="look") is not None, "the first to be placed")
    wait_until(lambda: api.queue_totals(queue)["total"] == 1000, "all to be placed")
    messages = api.drain(queue)
    assert [message["data"] for message in messages] == list(range(1000))
    assert [message["transactionId"] for message in messages] == ids


# Several servers, on a database that none of them owns.

MakePlain = Callable[[], Server]


@pytest.fixture
def make_plain(database_dsn: str, tmp_path: Path) -> Iterator[MakePlain]:
    made: list[Server] = []

    def make() -> Server:
        made.append(Server(tmp_path, "--database-url", database_dsn, name=f"server-{len(made)}"))
        watch(made[-1])
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        if server.running:
            assert server.terminate() == 0


def test_a_kill_between_commit_and_placement_loses_nothing(
    make_plain: MakePlain, database_dsn: str, queue: str
) -> None:
    first = make_plain()
    with psycopg.connect(database_dsn, autocommit=True) as caller:
        # Whoever holds this lock is at it: the server hears of the commit and can place nothing.
        caller.execute("select pg_advisory_lock(hashtextextended('queen enqueued queen', 0))")
        with psycopg.connect(database_dsn) as other:
            queen.sql_push_many(other, queue, ["a", "b"])
        first.kill()
        assert caller.execute("select count(*) from queen.enqueued").fetchone() == (2,)
        caller.execute("select pg_advisory_unlock_all()")
        # Nobody serves: callers go on.
        queen.sql_push(caller, queue, "c")
    second = make_plain()
    with Api(second.url) as api:
        wait_until(lambda: api.pop(queue, consumerGroup="look") is not None, "the new leader to place them")
        wait_until(lambda: api.queue_totals(queue)["total"] == 3, "all to be placed")
        assert [message["data"] for message in api.drain(queue)] == ["a", "b", "c"]


def test_two_servers(make_plain: MakePlain, database_dsn: str, queue: str) -> None:
    one, two = make_plain(), make_plain()
    for server in (one, two):
        wait_until(lambda server=server: server.metrics()["sizes"]["peers"] == 1, "both to know of each other")  # type: ignore[misc]
    with (
        Api(one.url) as api_one,
        Api(two.url) as api_two,
        ThreadPoolExecutor() as pool,
        psycopg.connect(database_dsn, autocommit=True) as caller,
    ):
        for turn, (server, api) in enumerate([(one, api_one), (two, api_two)] * 2):
            poll = pool.submit(api.wait_pop, queue, partitions=0)
            wait_until(lambda server=server: server.parked_polls() == 1, "the poll to be parked")  # type: ignore[misc]
            queen.sql_push(caller, queue, turn, partition=f"p{turn}")
            batch = poll.result()
            assert data(batch) == [turn]
            api.settle(batch)
        assert sum(server.metrics()["counters"]["enqueued_placed"] for server in (one, two)) == 4
